from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.reference import Format

def quantize(
    weight: npt.NDArray[Any],
    format: Format,
    *,
    symmetric: bool,
    block_sizes: Sequence[int],
    e8m0_scale: bool,
    mse: bool = False,
    num_threads: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any], npt.NDArray[Any]]: ...
def level() -> str: ...
