"""coreai-opt, Apple's package: the function that its ``quantize_weights`` calls for each weight."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from cases import Case
from coreai_opt.coreai_utils import DType
from coreai_opt.coreai_utils._coreai_imports import compression_types
from coreai_opt.coreai_utils._utils.quantize_utils import _compute_qparams_by_dtype
from coreai_opt.coreai_utils.common import QScheme

DISTRIBUTIONS = ("coreai-opt", "torch", "numpy")

_FLOATS = {
    "fp4_e2m1fn": ml_dtypes.float4_e2m1fn,
    "fp8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any] | None:
    """See ``contenders``. It refuses bfloat16."""
    if case.source == "bfloat16" or threads != 1:
        return None
    dtype = _FLOATS.get(case.dtype)
    if dtype is None:
        dtype = compression_types.string_to_builtin(DType(case.dtype))
    scheme = QScheme.ASYMMETRIC if case.asymmetric else QScheme.SYMMETRIC

    def run() -> Any:
        codes, scale, offset = _compute_qparams_by_dtype(
            weight, dtype, scheme, list(case.block_sizes)
        )
        if case.e8m0:
            scale = scale.astype(ml_dtypes.float8_e8m0fnu)
        return codes, scale, offset

    return run
