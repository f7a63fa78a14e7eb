"""One constant becomes codes, scales and the op that decodes them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.array import QuantizedArray
from coreai_opt.program import coreai_ir
from coreai_opt.program.coreai_ir import Builder, Op, Parts, Tensor
from coreai_opt.reference import FORMATS, pack


def replace_constant(constant: Op, quantized: QuantizedArray, parts: Parts) -> None:
    """Replace ``constant`` by ``coreai.blockwise_shift_scale`` of constants, at its location.

    Everything is built and verified before the program is changed, so if this raises the program
    is as it was.

    Args:
        constant: the op to replace; it is erased.
        quantized: its quantized value, of which the program keeps the arrays.
        parts: what other weights of the program were made of; it grows.
    """
    with Builder(constant, parts) as build:
        decoded = _build_decoder(build, quantized)
    coreai_ir.replace(constant, decoded)


def replace_decoder(decoder: Op, array: npt.NDArray[Any]) -> None:
    """Replace ``coreai.blockwise_shift_scale`` by a constant, at its location.

    If this raises, the program is as it was, or the new constant is in place.

    Args:
        decoder: the op to replace; it is erased, and so are the constants that only it uses.
        array: what it decodes, of its shape and dtype; the program keeps it.
    """
    with Builder(decoder) as build:
        value = build.constant(array, array.shape, coreai_ir.element_type(array.dtype))
    coreai_ir.replace(decoder, value)


def _build_decoder(build: Builder, quantized: QuantizedArray) -> Any:
    scale, codes = quantized.scale, coreai_ir.element_type(quantized.dtype)
    decoded = coreai_ir.element_type(quantized.weight_dtype)
    return build.blockwise_shift_scale(
        Tensor(quantized.shape, decoded),
        data=build.constant(quantized.packed, quantized.shape, codes),
        scale=build.constant(scale, scale.shape, coreai_ir.element_type(scale.dtype)),
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
