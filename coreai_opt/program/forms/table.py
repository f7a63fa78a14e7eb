"""A weight as ``coreai.lut_to_dense`` of constants: indices and look-up tables.

Where there are scales, what it returns goes through ``coreai.blockwise_shift_scale``. Everything
that depends on how such a weight is stored is here: reading it, writing it, and what it takes in a
saved program.
"""

import math

import numpy as np

from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.exceptions import UnreadableError
from coreai_opt.program import ir
from coreai_opt.program.forms.blockwise import granularity_of
from coreai_opt.program.forms.form import Label, Stored
from coreai_opt.program.forms.operands import constant_operand, constant_tensor
from coreai_opt.program.ir import Builder, Op, Tensor, Value
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, unpack
from coreai_opt.settings.enums import EIGHT_BIT_DTYPES, QScheme


def stores(array: object) -> bool:
    """Whether an array is a :class:`PalettizedArray`."""
    return isinstance(array, PalettizedArray)


def decodes(op: Op) -> bool:
    """Whether an op is ``coreai.lut_to_dense``, or scales what that returns."""
    return ir.table_of(op) is not None


def describe(decoder: Op) -> Stored | None:
    """Describe what an op decodes; None for what Core AI's runtime ends the process on."""
    look_up = ir.table_of(decoder)
    assert look_up is not None
    indices, table = (ir.static_tensor(look_up.operands[operand]) for operand in range(2))
    result = ir.static_tensor(decoder.result)
    if indices is None or table is None or result is None:
        return None
    scale = None if _is_same(decoder, look_up) else ir.static_tensor(decoder.operands[1])
    counts = table.shape[:-2]
    sizes = tuple(n // count for n, count in zip(result.shape, counts, strict=True))
    decoders = [look_up] if scale is None else [look_up, decoder]
    constants = [constant for op in decoders for constant in ir.constants_of(op)]
    return Stored(
        shape=result.shape,
        format=_format(ir.bits_of(indices.element), table.shape[-1]),
        qscheme=QScheme.SYMMETRIC,
        granularity=granularity_of(result.shape, sizes),
        block_sizes=sizes,
        scale_dtype=(scale or table).format,
        num_scales=0 if scale is None else scale.size,
        nbytes=sum(map(ir.stored_bytes, constants)),
    )


def read(decoder: Op) -> PalettizedArray:
    """Read what an op decodes.

    Raises:
        UnreadableError: it decodes something that a :class:`PalettizedArray` cannot hold; the
            message says what.
    """
    look_up = ir.table_of(decoder)
    assert look_up is not None
    indices, table, axis = (constant_operand(look_up, number) for number in range(3))
    result = ir.static_tensor(decoder.result)
    if result is None or result.dtype not in WEIGHT_DTYPES:
        raise UnreadableError(f"it decodes to {decoder.result.type}")
    entries, cluster_axis = constant_tensor(table), None
    if entries.shape[-1] > 1:
        cluster_axis = int(ir.read_packed(axis).view(np.int16)[0]) % len(result.shape)
    if entries.dtype in WEIGHT_DTYPES:
        numbers = ir.read_constant(table)
    elif entries.format in EIGHT_BIT_DTYPES:
        numbers = unpack(ir.read_packed(table), FORMATS[entries.format], entries.shape)
    else:
        raise UnreadableError(f"entries of its table are {entries.format}")
    scale, zero_point = None, 0
    if not _is_same(decoder, look_up):
        of_scale, offset1, offset2 = (constant_operand(decoder, number) for number in (1, 2, 3))
        if ir.read_constant(offset2).any():
            raise UnreadableError("its offset2, which is added to what is decoded, is not zero")
        scale, zero_point = ir.read_constant(of_scale), _read_offset(offset1)
    return PalettizedArray(
        packed=ir.read_packed(indices),
        shape=result.shape,
        weight_dtype=result.dtype,
        table=np.asarray(numbers).reshape(
            entries.shape[:-1] if cluster_axis is None else entries.shape
        ),
        scale=scale,
        zero_point=zero_point,
        cluster_axis=cluster_axis,
    )


def build(build: Builder, array: PalettizedArray) -> Value:
    """Make the ops that decode an array, of which the program keeps the memory."""
    table, element = array.table, _element(array)
    of_vectors = array.cluster_axis is not None
    decoded = build.lut_to_dense(
        Tensor(array.shape, element),
        indices=build.constant(array.packed, array.index_shape, f"ui{array.n_bits}"),
        lut=build.constant(table, table.shape if of_vectors else (*table.shape, 1), element),
        axis=build.splat(array.cluster_axis or 0, (), "si16"),
    )
    if array.scale is None:
        return decoded
    result, scale = ir.element_type(array.weight_dtype), array.scale
    return build.blockwise_shift_scale(
        Tensor(array.shape, result),
        data=decoded,
        scale=build.constant(scale, scale.shape, ir.element_type(scale.dtype)),
        offset1=build.splat(array.zero_point, scale.shape, element),
        offset2=build.splat(0, scale.shape, result),
    )


def saved_bytes(array: PalettizedArray, slices: int = 1, length: int = 1) -> int:
    """Return the bytes that a weight takes in a saved program: indices, tables and scales.

    See :meth:`coreai_opt.program.forms.form.Form.saved_bytes`.
    """
    indices = math.prod(array.index_shape) // slices * length
    parts = [array.table] if array.scale is None else [array.table, array.scale]
    nbytes = -(-indices * array.n_bits // 8)
    entries_of_one = math.prod(array.table.shape[len(array.shape) :])
    for part, entries in zip(parts, (entries_of_one, 1), strict=False):
        shared_by_all = part.size == entries
        nbytes += part.nbytes if shared_by_all else part.nbytes // slices * length
    return nbytes


def label(array: PalettizedArray) -> Label:
    """Return what reports call an array."""
    numbers = array.table if array.scale is None else array.scale
    return Label(_format(array.n_bits, array.cluster_dim), numbers.dtype.name)


def _format(bits: int, cluster_dim: int) -> str:
    """Return the name of a form: the bits of an index and, of vectors, how long they are."""
    return f"lut{bits}" if cluster_dim == 1 else f"lut{bits}x{cluster_dim}"


def _element(array: PalettizedArray) -> str:
    """The element type of a table's entries."""
    if array.table.dtype in WEIGHT_DTYPES:
        return ir.element_type(array.table.dtype)
    names = (name for name in EIGHT_BIT_DTYPES if FORMATS[name].code_dtype == array.table.dtype)
    return ir.element_type(next(names))


def _is_same(op: Op, other: Op) -> bool:
    return bool(op == other)


def _read_offset(constant: Op) -> int:
    tensor = constant_tensor(constant)
    if tensor.dtype in WEIGHT_DTYPES:
        offsets = ir.read_constant(constant)
    else:
        offsets = unpack(ir.read_packed(constant), FORMATS[tensor.format], tensor.shape)
    numbers = np.unique(np.asarray(offsets).astype(np.float32))
    if len(numbers) != 1 or numbers[0] != np.floor(numbers[0]):
        raise UnreadableError(
            "its offset1, which is taken off entries, is not one whole number everywhere"
        )
    return int(numbers[0])
