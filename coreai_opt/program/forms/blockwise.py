"""A weight as ``coreai.blockwise_shift_scale`` of constants: codes, scales and zero points.

One scale and one zero point for each block. Everything that depends on how such a weight is stored
is here: reading it, writing it, and what it takes in a saved program.
"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.exceptions import UnreadableError
from coreai_opt.program import ir
from coreai_opt.program.forms.form import Label, Stored
from coreai_opt.program.forms.operands import constant_tensor
from coreai_opt.program.ir import Builder, Op, Tensor, Value
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, Format, pack, unpack
from coreai_opt.settings.enums import CompressionGranularity, DType, QScheme

_OPERANDS = ("data", "scale", "offset1", "offset2")


def stores(array: object) -> bool:
    """Whether an array is a :class:`QuantizedArray`."""
    return isinstance(array, QuantizedArray)


def decodes(op: Op) -> bool:
    """Whether an op is ``coreai.blockwise_shift_scale``."""
    return bool(op.name == ir.BLOCKWISE_SHIFT_SCALE)


def describe(decoder: Op) -> Stored | None:
    """Describe what an op decodes; None for what Core AI's runtime ends the process on."""
    data, scale = (ir.static_tensor(decoder.operands[operand]) for operand in range(2))
    assert data is not None
    if scale is None or len(data.shape) != len(scale.shape):
        return None
    sizes = tuple(n // blocks for n, blocks in zip(data.shape, scale.shape, strict=True))
    return Stored(
        shape=data.shape,
        format=data.format,
        qscheme=_scheme_of(decoder),
        granularity=granularity_of(data.shape, sizes),
        block_sizes=sizes,
        scale_dtype=scale.format,
        num_scales=scale.size,
        nbytes=sum(map(ir.stored_bytes, ir.constants_of(decoder))),
    )


def read(decoder: Op) -> QuantizedArray:
    """Read what an op decodes.

    Raises:
        UnreadableError: it decodes something that a :class:`QuantizedArray` cannot hold; the
            message says what.
    """
    data, scale, zero_point, offset2 = (_constant(decoder, number) for number in range(4))
    result, codes = ir.static_tensor(decoder.result), constant_tensor(data)
    if result is None or result.dtype not in WEIGHT_DTYPES:
        raise UnreadableError(f"it decodes to {decoder.result.type}")
    if codes.format not in FORMATS:
        raise UnreadableError(f"its codes are {codes.format}")
    if ir.read_constant(offset2).any():
        raise UnreadableError("its offset2, which is added to what is decoded, is not zero")
    return QuantizedArray(
        packed=ir.read_packed(data),
        shape=codes.shape,
        dtype=DType(codes.format),
        weight_dtype=result.dtype,
        scale=ir.read_constant(scale),
        zero_point=_read_codes(zero_point),
    )


def _scheme_of(decoder: Op) -> QScheme | None:
    """Return the scheme: symmetric if all zero points are neutral; None if they cannot be read.

    An asymmetric weight that has these zero points decodes as a symmetric one does.
    """
    try:
        constant = _constant(decoder, 2)
        neutral = _neutral_zero_points(_format_of_zero_points(constant))
        if ir.is_splat(constant):  # reading all of them would take as long as quantizing
            symmetric = ir.splat_value(constant) in neutral
        else:
            zero_point = _read_codes(constant)
            first = zero_point.flat[0]
            symmetric = first in neutral and bool((zero_point == first).all())
    except UnreadableError:
        return None
    return QScheme.SYMMETRIC if symmetric else QScheme.ASYMMETRIC


def _neutral_zero_points(format: Format) -> tuple[int, ...]:
    """The zero points of symmetric weights; unsigned ones have one per observer."""
    if not format.is_int or format.is_signed_int:
        return (0,)
    return (format.symmetric_max, -format.searched_min)


def granularity_of(shape: tuple[int, ...], block_sizes: tuple[int, ...]) -> CompressionGranularity:
    """Return which granularity blocks of ``block_sizes`` are.

    A block size that equals the length of its axis counts as the whole axis.
    """
    whole = [size == length for size, length in zip(block_sizes, shape, strict=True)]
    if all(whole):
        return CompressionGranularity.PER_TENSOR
    is_channel = any(w and n > 1 for w, n in zip(whole, shape, strict=True))
    if is_channel and all(w or size == 1 for w, size in zip(whole, block_sizes, strict=True)):
        return CompressionGranularity.PER_CHANNEL
    return CompressionGranularity.PER_BLOCK


def _constant(decoder: Op, number: int) -> Op:
    constant = ir.operand_constant(decoder, number)
    if constant is None:
        raise UnreadableError(f"its {_OPERANDS[number]} is computed, not a constant")
    return constant


def _read_codes(constant: Op) -> npt.NDArray[Any]:
    packed: npt.NDArray[np.uint8] = ir.read_packed(constant)
    return unpack(packed, _format_of_zero_points(constant), constant_tensor(constant).shape)


def _format_of_zero_points(constant: Op) -> Format:
    name = constant_tensor(constant).format
    if name not in FORMATS:
        raise UnreadableError(f"its zero points are {name}")
    return FORMATS[name]


def build(build: Builder, array: QuantizedArray) -> Value:
    """Make the ops that decode an array, of which the program keeps the memory."""
    scale, codes = array.scale, ir.element_type(array.dtype)
    decoded = ir.element_type(array.weight_dtype)
    return build.blockwise_shift_scale(
        Tensor(array.shape, decoded),
        data=build.constant(array.packed, array.shape, codes),
        scale=build.constant(scale, scale.shape, ir.element_type(scale.dtype)),
        offset1=_build_zero_point(build, array, codes),
        # Always zero; its type is the type that the weight decodes to.
        offset2=build.splat(0, scale.shape, decoded),
    )


def saved_bytes(array: QuantizedArray, slices: int = 1, length: int = 1) -> int:
    """Return the bytes that a weight takes in a saved program: codes, scales, zero points.

    See :meth:`coreai_opt.program.forms.form.Form.saved_bytes`.
    """
    format = FORMATS[array.dtype]
    codes = format.packed_size(math.prod(array.shape) // slices * length)
    scales = array.scale.size // slices * length
    zero_points = 0 if _is_uniform(array.zero_point) else format.packed_size(scales)
    return codes + scales * array.scale.itemsize + zero_points


def label(array: QuantizedArray) -> Label:
    """Return what reports call an array."""
    return Label(str(array.dtype), array.scale.dtype.name)


def _build_zero_point(build: Builder, array: QuantizedArray, element: str) -> Value:
    zero_point = array.zero_point
    if _is_uniform(zero_point):  # then it takes no room
        return build.splat(zero_point.flat[0], zero_point.shape, element)
    packed = pack(zero_point, FORMATS[array.dtype])
    return build.constant(packed, zero_point.shape, element)


def _is_uniform(zero_point: npt.NDArray[Any]) -> bool:
    codes = zero_point.view(np.uint8)  # whose least and largest numpy finds quickly
    # min() == max() would say so too, but takes longer than all else about a small array.
    return bool(codes.argmin() == codes.argmax())
