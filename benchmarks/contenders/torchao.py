"""torchao: its quantization primitives, in eager PyTorch on the CPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torchao.prototype.mx_formats.mx_tensor import to_mx
from torchao.quantization.quant_primitives import (
    MappingType,
    _choose_scale_float8,
    _quantize_affine_float8,
    choose_qparams_affine,
    quantize_affine,
)

from cases import BLOCK, Case

DISTRIBUTIONS = ("torchao", "torch")

_FLOATS = {
    "fp4_e2m1fn": torch.float4_e2m1fn_x2,
    "fp8_e4m3fn": torch.float8_e4m3fn,
    "fp8_e5m2": torch.float8_e5m2,
}


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any] | None:
    """See ``contenders``. Its MX formats take no float16 and run along the last axis only."""
    if threads != 1:
        return None
    torch.set_num_threads(1)
    tensor = torch.from_numpy(weight)
    if case.source == "bfloat16":
        tensor = tensor.view(torch.bfloat16)
    if case.e8m0:
        if case.axis == 0 or case.source == "float16":
            return None
        return partial(to_mx, tensor, _FLOATS[case.dtype], BLOCK)
    return partial(_float8 if case.dtype in _FLOATS else _affine, case, tensor)


def _float8(case: Case, tensor: torch.Tensor) -> Any:
    dtype = _FLOATS[case.dtype]
    scale = _choose_scale_float8(tensor, list(case.block_shape), dtype)
    return _quantize_affine_float8(tensor, scale, dtype), scale


def _affine(case: Case, tensor: torch.Tensor) -> Any:
    unsigned = case.dtype.startswith("u")
    dtype = torch.uint8 if unsigned else torch.int8
    low = 0 if unsigned else -(2 ** (case.bits - 1)) + (not case.asymmetric)
    high = 2**case.bits - 1 if unsigned else 2 ** (case.bits - 1) - 1
    mapping = MappingType.ASYMMETRIC if case.asymmetric else MappingType.SYMMETRIC
    scale, zero_point = choose_qparams_affine(
        tensor, mapping, case.block_shape, dtype, low, high, zero_point_dtype=torch.int8
    )
    codes = quantize_affine(tensor, case.block_shape, scale, zero_point, dtype, low, high)
    return codes, scale, zero_point
