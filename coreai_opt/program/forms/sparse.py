"""A weight as ``coreai.sparse_with_bitmask_to_dense`` of constants: some elements, and a mask.

Where there are scales, what it returns goes through ``coreai.blockwise_shift_scale``. The elements
can be stored in another form themselves, as a list that is decoded before. Everything that depends
on how such a weight is stored is here: reading it, writing it, and what it takes in a saved
program.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.arrays.sparse_array import SparseArray
from coreai_opt.exceptions import UnreadableError
from coreai_opt.program import ir
from coreai_opt.program.forms import blockwise, table
from coreai_opt.program.forms.blockwise import granularity_of
from coreai_opt.program.forms.form import Form, Label, Stored
from coreai_opt.program.forms.operands import constant_operand
from coreai_opt.program.ir import Builder, Op, Tensor, Value
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, unpack
from coreai_opt.settings.enums import QScheme

_VALUE_FORMATS = ("int8", "fp8_e4m3fn", "fp8_e5m2")
"""Formats of values with scales: those of which 0 is the bits 0, which elements have that are not
stored."""


def stores(array: object) -> bool:
    """Whether an array is a :class:`SparseArray`."""
    return isinstance(array, SparseArray)


def decodes(op: Op) -> bool:
    """Whether an op is ``coreai.sparse_with_bitmask_to_dense``, or scales what that returns."""
    return ir.sparse_of(op) is not None


def describe(decoder: Op) -> Stored | None:
    """Describe what an op decodes; None for what Core AI's runtime ends the process on."""
    dense = ir.sparse_of(decoder)
    assert dense is not None
    built = dense.operands[0].owner
    values, result = ir.static_tensor(built.operands[0]), ir.static_tensor(decoder.result)
    if values is None or result is None:
        return None
    form, listed = _form_of_values(built), None
    if form is not None:
        listed = form.describe(built.operands[0].owner)
        if listed is None:
            return None
    scale = None if decoder == dense else ir.static_tensor(decoder.operands[1])
    counts = (1,) * len(result.shape) if scale is None else scale.shape
    sizes = tuple(n // count for n, count in zip(result.shape, counts, strict=True))
    ops = [built] if scale is None else [built, decoder]
    constants = [constant for op in ops for constant in ir.constants_of(op)]
    return Stored(
        shape=result.shape,
        format=_format(values.format if listed is None else listed.format),
        qscheme=QScheme.SYMMETRIC,
        granularity=granularity_of(result.shape, sizes),
        block_sizes=sizes,
        scale_dtype=(scale or values).format,
        num_scales=0 if scale is None else scale.size,
        nbytes=sum(map(ir.stored_bytes, constants)) + (0 if listed is None else listed.nbytes),
    )


def read(decoder: Op) -> SparseArray:
    """Read what an op decodes.

    Raises:
        UnreadableError: it decodes something that a :class:`SparseArray` cannot hold; the
            message says what.
    """
    dense = ir.sparse_of(decoder)
    assert dense is not None
    built, result = dense.operands[0].owner, ir.static_tensor(decoder.result)
    mask, form = constant_operand(built, 1), _form_of_values(built)
    if result is None or result.dtype not in WEIGHT_DTYPES:
        raise UnreadableError(f"it decodes to {decoder.result.type}")
    if form is not None:
        if decoder != dense:
            raise UnreadableError("its values are decoded before and after there are zeros")
        listed = form.read(built.operands[0].owner)
        return SparseArray(listed, ir.read_packed(mask), result.shape, result.dtype)
    values = constant_operand(built, 0)
    of_values = ir.static_tensor(values.result)
    assert of_values is not None
    scale = None
    if decoder == dense:
        numbers = ir.read_constant(values)
    elif of_values.format in _VALUE_FORMATS:
        numbers = unpack(ir.read_packed(values), FORMATS[of_values.format], of_values.shape)
        scale = ir.read_constant(constant_operand(decoder, 1))
        if any(ir.read_packed(constant_operand(decoder, number)).any() for number in (2, 3)):
            raise UnreadableError("one of its offsets is not zero")
    else:
        raise UnreadableError(f"its values are {of_values.format}")
    return SparseArray(
        values=np.asarray(numbers),
        mask=ir.read_packed(mask),
        shape=result.shape,
        weight_dtype=result.dtype,
        scale=scale,
    )


def build(build: Builder, array: SparseArray) -> Value:
    """Make the ops that decode an array, of which the program keeps the memory."""
    if isinstance(array.values, np.ndarray):
        element = _element(array.values)
        values = build.constant(array.values, array.values.shape, element)
    else:
        element = ir.element_type(array.weight_dtype)
        values = _form_of(array.values).build(build, array.values)
    dense = build.sparse_to_dense(
        Tensor(array.shape, element),
        values=values,
        bitmask=build.constant(array.mask, array.shape, "ui1"),
        stored=array.values.shape[0],
    )
    if array.scale is None:
        return dense
    result, scale = ir.element_type(array.weight_dtype), array.scale
    return build.blockwise_shift_scale(
        Tensor(array.shape, result),
        data=dense,
        scale=build.constant(scale, scale.shape, ir.element_type(scale.dtype)),
        offset1=build.splat(0, scale.shape, element),
        offset2=build.splat(0, scale.shape, result),
    )


def saved_bytes(array: SparseArray, slices: int = 1, length: int = 1) -> int:
    """Return the bytes that a weight takes in a saved program: values, mask and scales.

    See :meth:`coreai_opt.program.forms.form.Form.saved_bytes`.
    """
    return array.nbytes // slices * length


def label(array: SparseArray) -> Label:
    """Return what reports call an array."""
    if not isinstance(array.values, np.ndarray):
        listed = _form_of(array.values).label(array.values)
        return Label(_format(listed.format), listed.scale_dtype)
    numbers = array.values if array.scale is None else array.scale
    return Label(_format(_format_of(array.values)), numbers.dtype.name)


def _form_of(values: PalettizedArray | QuantizedArray) -> Form[Any]:
    """Return the form in which values are stored."""
    return table if isinstance(values, PalettizedArray) else blockwise


def _form_of_values(built: Op) -> Form[Any] | None:
    """Return the form that values are stored in, None where they are a constant."""
    if ir.operand_constant(built, 0) is not None:
        return None
    forms: tuple[Form[Any], ...] = (table, blockwise)
    owner = built.operands[0].owner
    return next(form for form in forms if form.decodes(owner))


def _format(values: str) -> str:
    return f"sparse {values}"


def _element(values: npt.NDArray[Any]) -> str:
    """The element type of values."""
    return ir.element_type(values.dtype if values.dtype in WEIGHT_DTYPES else _format_of(values))


def _format_of(values: npt.NDArray[Any]) -> str:
    """The format of values, by the name that it has in a program."""
    if values.dtype in WEIGHT_DTYPES:
        return values.dtype.name
    names = (name for name in _VALUE_FORMATS if FORMATS[name].code_dtype == values.dtype)
    return next(names)
