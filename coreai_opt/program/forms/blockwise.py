"""A weight as ``coreai.blockwise_shift_scale`` of constants: codes, scales and zero points.

One scale and one zero point for each block. Everything that depends on how such a weight is stored
is here: reading it, writing it, and what it takes in a saved program.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.program import ir
from coreai_opt.program.ir import Builder, Op, Parts, Tensor, Value
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, Format, pack, unpack
from coreai_opt.settings.enums import CompressionGranularity, DType, QScheme

_OPERANDS = ("data", "scale", "offset1", "offset2")


def read_quantized(decoder: Op) -> QuantizedArray:
    """Read the weight that a ``coreai.blockwise_shift_scale`` decodes.

    Raises:
        ValueError: it decodes something else than a :class:`QuantizedArray` can hold, and what.
    """
    data, scale, zero_point, offset2 = (_constant(decoder, number) for number in range(4))
    result, codes = ir.static_tensor(decoder.result), _tensor(data)
    if result is None or result.dtype not in WEIGHT_DTYPES:
        raise ValueError(f"it decodes to {decoder.result.type}")
    if codes.format not in FORMATS:
        raise ValueError(f"its codes are {codes.format}")
    if ir.read_constant(offset2).any():
        raise ValueError("its offset2, which is added to what is decoded, is not zero")
    return QuantizedArray(
        packed=ir.read_packed(data),
        shape=codes.shape,
        dtype=DType(codes.format),
        weight_dtype=result.dtype,
        scale=ir.read_constant(scale),
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
    constant = ir.operand_constant(decoder, number)
    if constant is None:
        raise ValueError(f"its {_OPERANDS[number]} is computed, not a constant")
    return constant


def _tensor(constant: Op) -> Tensor:
    tensor = ir.static_tensor(constant.result)
    assert tensor is not None  # constants are tensors of static shape
    return tensor


def _read_codes(constant: Op) -> npt.NDArray[Any]:
    tensor = _tensor(constant)
    if tensor.format not in FORMATS:
        raise ValueError(f"its zero points are {tensor.format}")
    packed: npt.NDArray[np.uint8] = ir.read_packed(constant)
    return unpack(packed, FORMATS[tensor.format], tensor.shape)


def replace_constants(
    constants: Sequence[Op], quantized: QuantizedArray, parts: Parts | None = None
) -> None:
    """Replace constants of one value by ``coreai.blockwise_shift_scale`` of constants.

    Everything is built and verified before the program is changed, so if building raises the
    program is as it was. It is valid after every constant that is replaced.

    Args:
        constants: the ops to replace; they are erased.
        quantized: their quantized value, of which the program keeps the arrays, once.
        parts: what other weights of the program were made of; it grows.
    """
    _replace(constants, lambda build: _build_decoder(build, quantized), parts)


def replace_decoders(decoders: Sequence[Op], array: npt.NDArray[Any]) -> None:
    """Replace ``coreai.blockwise_shift_scale`` ops that decode one value by constants.

    If building raises, the program is as it was.

    Args:
        decoders: the ops to replace; they are erased, and so are the constants that only they use.
        array: what they decode, of its shape and dtype; the program keeps it, once.
    """
    element = ir.element_type(array.dtype)
    _replace(decoders, lambda build: build.constant(array, array.shape, element), None)


def _replace(ops: Sequence[Op], make: Callable[[Builder], Value], parts: Parts | None) -> None:
    """Replace each of ``ops`` by what ``make`` makes, at its place and with its location."""
    with ExitStack() as stack:
        first, *others = [stack.enter_context(Builder(op, parts)) for op in ops]
        value = make(first)
        values = [value, *(build.copy(value.owner) for build in others)]
    for op, value in zip(ops, values, strict=True):
        ir.replace(op, value)


def _build_decoder(build: Builder, quantized: QuantizedArray) -> Any:
    scale, codes = quantized.scale, ir.element_type(quantized.dtype)
    decoded = ir.element_type(quantized.weight_dtype)
    return build.blockwise_shift_scale(
        Tensor(quantized.shape, decoded),
        data=build.constant(quantized.packed, quantized.shape, codes),
        scale=build.constant(scale, scale.shape, ir.element_type(scale.dtype)),
        offset1=_build_zero_point(build, quantized, codes),
        # Always zero; its type is the type that the weight decodes to.
        offset2=build.splat(0, scale.shape, decoded),
    )


def saved_bytes(quantized: QuantizedArray) -> int:
    """Return the bytes that ``quantized`` takes in a saved program: codes, scales, zero points."""
    if _is_uniform(quantized.zero_point):
        return quantized.nbytes
    return quantized.nbytes + FORMATS[quantized.dtype].packed_size(quantized.zero_point.size)


def _build_zero_point(build: Builder, quantized: QuantizedArray, element: str) -> Any:
    zero_point = quantized.zero_point
    if _is_uniform(zero_point):  # then it takes no room
        return build.splat(zero_point.flat[0], zero_point.shape, element)
    packed = pack(zero_point, FORMATS[quantized.dtype])
    return build.constant(packed, zero_point.shape, element)


def _is_uniform(zero_point: npt.NDArray[Any]) -> bool:
    codes = zero_point.view(np.uint8)  # whose least and largest numpy finds quickly
    # As min() == max(), which take longer than all else about a small array: they are ufuncs.
    return bool(codes.argmin() == codes.argmax())
