"""What a quantized weight's ``coreai.blockwise_shift_scale`` of constants holds."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.array import QuantizedArray
from coreai_opt.common import CompressionGranularity, DType, QScheme
from coreai_opt.program import coreai_ir
from coreai_opt.program.coreai_ir import Op, Tensor
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, Format, unpack

_OPERANDS = ("data", "scale", "offset1", "offset2")


def read_quantized(decoder: Op) -> QuantizedArray:
    """Read the weight that a ``coreai.blockwise_shift_scale`` decodes.

    Raises:
        ValueError: it decodes something else than a :class:`QuantizedArray` can hold, and what.
    """
    data, scale, zero_point, offset2 = (_constant(decoder, number) for number in range(4))
    result, codes = coreai_ir.static_tensor(decoder.result), _tensor(data)
    if result is None or result.dtype not in WEIGHT_DTYPES:
        raise ValueError(f"it decodes to {decoder.result.type}")
    if codes.format not in FORMATS:
        raise ValueError(f"its codes are {codes.format}")
    if coreai_ir.read_constant(offset2).any():
        raise ValueError("its offset2, which is added to what is decoded, is not zero")
    return QuantizedArray(
        packed=coreai_ir.read_packed(data),
        shape=codes.shape,
        dtype=DType(codes.format),
        weight_dtype=result.dtype,
        scale=coreai_ir.read_constant(scale),
        zero_point=_read_codes(zero_point),
    )


def scheme_of(decoder: Op) -> QScheme:
    """Return the scheme of a quantized weight: symmetric if all of its zero points are the neutral.

    An asymmetric weight that has these zero points decodes as a symmetric one does.

    Raises:
        ValueError: its zero points cannot be read, and why.
    """
    constant = _constant(decoder, 2)
    zero_point = _read_codes(constant)
    first = zero_point.flat[0]
    is_neutral = first in _neutral_zero_points(FORMATS[_tensor(constant).format])
    symmetric = is_neutral and bool((zero_point == first).all())
    return QScheme.SYMMETRIC if symmetric else QScheme.ASYMMETRIC


def _neutral_zero_points(format: Format) -> tuple[int, ...]:
    """The zero points of symmetric weights; unsigned ones have one per observer."""
    if not format.is_int or format.is_signed_int:
        return (0,)
    return (format.symmetric_max, -format.searched_min)


def granularity_of(shape: tuple[int, ...], block_sizes: tuple[int, ...]) -> CompressionGranularity:
    """Return which granularity blocks of ``block_sizes`` are.

    A block that is as long as its axis makes no difference from one that is the whole axis.
    """
    whole = [size == length for size, length in zip(block_sizes, shape, strict=True)]
    if all(whole):
        return CompressionGranularity.PER_TENSOR
    is_channel = any(w and n > 1 for w, n in zip(whole, shape, strict=True))
    if is_channel and all(w or size == 1 for w, size in zip(whole, block_sizes, strict=True)):
        return CompressionGranularity.PER_CHANNEL
    return CompressionGranularity.PER_BLOCK


def _constant(decoder: Op, number: int) -> Op:
    constant = coreai_ir.operand_constant(decoder, number)
    if constant is None:
        raise ValueError(f"its {_OPERANDS[number]} is computed, not a constant")
    return constant


def _tensor(constant: Op) -> Tensor:
    tensor = coreai_ir.static_tensor(constant.result)
    assert tensor is not None  # constants are tensors of static shape
    return tensor


def _read_codes(constant: Op) -> npt.NDArray[Any]:
    tensor = _tensor(constant)
    if tensor.format not in FORMATS:
        raise ValueError(f"its zero points are {tensor.format}")
    packed: npt.NDArray[np.uint8] = coreai_ir.read_packed(constant)
    return unpack(packed, FORMATS[tensor.format], tensor.shape)
