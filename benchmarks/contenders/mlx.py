"""mlx on the CPU: ``mx.quantize``, whose integer mode is always asymmetric."""

from collections.abc import Callable
from typing import Any

import mlx.core as mx
import numpy as np

from cases import BLOCK, Case

DISTRIBUTIONS = ("mlx", "mlx-cpu")

_FLOAT_MODES = {"fp4_e2m1fn": "mxfp4", "fp8_e4m3fn": "mxfp8"}


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any] | None:
    """See ``contenders``. It has blocks along the last axis only."""
    is_float = case.dtype.startswith("fp")
    if case.granularity != "block" or case.axis == 0 or is_float != case.e8m0 or threads != 1:
        return None
    array = mx.array(weight)
    if case.source == "bfloat16":
        array = array.view(mx.bfloat16)
    mode = _FLOAT_MODES[case.dtype] if is_float else "affine"
    mx.eval(array)

    def run() -> Any:
        result = mx.quantize(array, group_size=BLOCK, bits=case.bits, mode=mode)
        mx.eval(*result)
        return result

    return run
