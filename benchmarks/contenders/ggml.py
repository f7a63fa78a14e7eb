"""ggml, of llama.cpp, as ggml-python builds it: ``ggml_quantize_chunk``."""

import ctypes
from collections.abc import Callable
from typing import Any

import ggml
import numpy as np

from cases import Case

DISTRIBUTIONS = ("ggml-python",)

_TYPES = {
    "INT4 block 32": (ggml.GGML_TYPE_Q4_0, 18),
    "UINT4 asym block 32": (ggml.GGML_TYPE_Q4_1, 20),
    "INT8 block 32": (ggml.GGML_TYPE_Q8_0, 34),
    "MXFP4": (ggml.GGML_TYPE_MXFP4, 17),
}
"""The type nearest to a format, and the bytes of one of its blocks of 32."""


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any] | None:
    """See ``contenders``. It takes float32, in blocks of 32 along the last axis."""
    if case.label not in _TYPES or case.axis == 0 or case.source != "float32" or threads != 1:
        return None
    kind, block_bytes = _TYPES[case.label]
    rows, columns = case.shape
    source = weight.ctypes.data_as(ctypes.POINTER(ctypes.c_float))

    def run() -> Any:
        result = np.empty(case.size // 32 * block_bytes, np.uint8)
        ggml.ggml_quantize_chunk(kind, source, result.ctypes.data, 0, rows, columns, None)
        return result

    ggml.ggml_quantize_init(kind)
    return run
