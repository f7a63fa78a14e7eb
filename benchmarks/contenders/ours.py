"""This project: ``coreai_opt.quantize_array``."""

from collections.abc import Callable
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np

from cases import Case
from coreai_opt import quantize_array

DISTRIBUTIONS = ("coreai-opt-native", "numpy")


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any]:
    """See ``contenders``."""
    if case.source == "bfloat16":
        weight = weight.view(ml_dtypes.bfloat16)
    e8m0_fp8 = case.e8m0 and case.dtype.startswith("fp8")
    return partial(
        quantize_array,
        weight,
        case.dtype,
        qscheme="asymmetric" if case.asymmetric else "symmetric",
        block_sizes=case.block_sizes,
        scale_dtype="fp8_e8m0fnu" if e8m0_fp8 else None,
        backend="native",
        num_threads=threads,
    )
