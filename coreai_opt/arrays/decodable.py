"""What numpy makes of weights that are stored in fewer bits."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Decodable"]


class Decodable(ABC):
    """A weight that numpy decodes wherever it takes an array, as ``numpy.asarray`` does."""

    @abstractmethod
    def dequantize(self, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
        """Decode the weight to a new array; None for the weight's own dtype."""

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Decode the weight."""
        if copy is False:
            name = type(self).__name__
            raise ValueError(f"copy must not be False: a {name} is decoded to a new array")
        decoded = self.dequantize()
        return decoded if dtype is None else decoded.astype(np.dtype(dtype), copy=False)
