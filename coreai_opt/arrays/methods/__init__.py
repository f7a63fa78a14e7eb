"""Methods: how the codes of a weight are found. One module for each.

nearest   observe a scale for each block, then round every element to nearest
gptq      round with feedback: columns make up for the errors of those before them
"""

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.methods import nearest
from coreai_opt.arrays.methods.gptq import Gptq
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.settings.spec import QuantizationSpec

__all__ = ["Gptq", "Method", "nearest"]


class Method(Protocol):
    """How the codes of a weight are found."""

    def quantize(
        self,
        weight: npt.NDArray[Any],
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        backend: Backend,
        num_threads: int,
        *,
        importance: npt.NDArray[np.float32] | None,
    ) -> QuantizedArray:
        """Quantize a weight; all arguments have been checked.

        Args:
            weight: C-contiguous array, not empty, float32, float16 or bfloat16.
            spec: what to turn it into.
            block_sizes: a block's length along each axis; 0 stands for the whole axis.
            backend: what does the work.
            num_threads: threads that it may use.
            importance: what squared errors count, in the rank of the weight; None for all alike.

        Raises:
            ValueError: a NaN or infinity in ``weight``; the message has the first index.
            BackendMismatchError: two backends differ.
        """
