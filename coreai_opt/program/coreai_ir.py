"""Core AI's IR in the few words the project needs. No other module imports Core AI.

``coreai-core`` is a beta and most of what is used here is private to it, so everything that may
move with its next release is in this file. What is known about it was found by trying; what was
surprising is in the comments.

An *op* is an MLIR operation, a *value* one of its results, and an *element type* is spelled as MLIR
spells it: ``"f16"``, ``"si4"``, ``"f8E8M0FNU"``.
"""

import math
import re
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import count
from typing import Any, NamedTuple, Self

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt import memory

try:
    from coreai._compiler import ir
    from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import (
        copy_constant_value_to_array,
    )
    from coreai.authoring import AIModelAsset, AIProgram
    from coreai.runtime import NDArray
except ImportError as error:
    raise ImportError(
        f"quantizing programs needs Core AI, which did not import ({error}): "
        "pip install coreai-core. It has wheels for Linux x86-64 (glibc 2.34 and newer) and macOS "
        "arm64, CPython 3.11 to 3.14. coreai_opt.quantize_array works without it."
    ) from error

__all__ = [
    "BLOCKWISE_SHIFT_SCALE",
    "CONSTANT",
    "TRANSPOSE",
    "AIModelAsset",
    "AIProgram",
    "Buffer",
    "Builder",
    "NDArray",
    "Op",
    "Origin",
    "Parts",
    "Port",
    "Signature",
    "Tensor",
    "Type",
    "Use",
    "Value",
    "element_type",
    "graph_inputs",
    "graph_name",
    "location_text",
    "operand_constant",
    "operations",
    "origin",
    "read_constant",
    "read_integers",
    "read_output",
    "read_packed",
    "replace",
    "signature",
    "static_tensor",
    "stored_bytes",
    "tensor_of",
    "uses",
]

Op = Any
Type = Any
Value = Any
NumpyDType = np.dtype[Any]

CONSTANT = "coreai.constant"
BLOCKWISE_SHIFT_SCALE = "coreai.blockwise_shift_scale"
TRANSPOSE = "coreai.transpose"

_NUMPY_DTYPES: dict[str, NumpyDType] = {
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "bf16": np.dtype(ml_dtypes.bfloat16),
    "f8E8M0FNU": np.dtype(ml_dtypes.float8_e8m0fnu),
    # What Core AI accepts for permutations and group counts.
    "ui16": np.dtype(np.uint16),
    "ui32": np.dtype(np.uint32),
}
"""The element types that are read or written as numpy arrays."""

_PORT_DTYPES: dict[str, NumpyDType] = {
    **{name: _NUMPY_DTYPES[name] for name in ("f32", "f16", "bf16", "ui16", "ui32")},
    "si8": np.dtype(np.int8),
    "si16": np.dtype(np.int16),
    "si32": np.dtype(np.int32),
    "ui8": np.dtype(np.uint8),
    "i1": np.dtype(np.bool_),
}
"""The element types of inputs and outputs that a program can be run with."""

_CODE_TYPES = {
    "int2": "si2",
    "uint2": "ui2",
    "int4": "si4",
    "uint4": "ui4",
    "int8": "si8",
    "uint8": "ui8",
    "fp4_e2m1fn": "f4E2M1FN",
    "fp8_e4m3fn": "f8E4M3FN",
    "fp8_e5m2": "f8E5M2",
}
"""The formats of ``reference/formats.py`` as element types."""

_FORMAT_NAMES = {element: name for name, element in _CODE_TYPES.items()}
_ELEMENT_TYPES = {dtype: element for element, dtype in _NUMPY_DTYPES.items()}

# Core AI's own constants have this alignment; numpy's memory has it on every platform with a wheel.
# Left alone, it would be 1, the alignment of the bytes that a buffer is handed over as.
_ALIGNMENT = 16


# Names that are taken make Core AI search for a free one: 1.9 ms for the ten thousandth constant.
_resource_numbers = count()


class Tensor(NamedTuple):
    """Type of a tensor whose shape is static.

    Attributes:
        shape: its shape.
        element: its element type, e.g. ``"f16"``.
    """

    shape: tuple[int, ...]
    element: str

    @property
    def size(self) -> int:
        """How many elements it has."""
        return math.prod(self.shape)

    @property
    def dtype(self) -> NumpyDType | None:
        """The numpy dtype of its elements, None for those that are not read as arrays."""
        return _NUMPY_DTYPES.get(self.element)

    @property
    def format(self) -> str:
        """Its elements by name: ``"int4"``, ``"float16"``; as in MLIR if they have none."""
        return _FORMAT_NAMES.get(self.element) or str(self.dtype or self.element)

    @property
    def nbytes(self) -> int:
        """Bytes it takes when stored; codes of less than a byte are packed without gaps."""
        return -(-self.size * _bits(self.element) // 8)


@cache
def _bits(element: str) -> int:
    bits = re.search(r"\d+", element)
    return int(bits.group()) if bits else 0


class Use(NamedTuple):
    """A use of a value: operand number ``operand`` of ``op``."""

    op: Op
    operand: int


class Port(NamedTuple):
    """An input or an output of a graph.

    Attributes:
        name: its name.
        type: its type as Core AI writes it, e.g. ``"tensor<?x4xf32>"``.
        shape: its shape; None stands for a dimension that is not fixed.
        dtype: its dtype as an array, None where the runtime cannot be given or asked for one.
    """

    name: str
    type: str
    shape: tuple[int | None, ...]
    dtype: NumpyDType | None

    def __str__(self) -> str:
        if self.dtype is None:
            return f"{self.name}: {self.type}"
        sizes = ("?" if size is None else str(size) for size in self.shape)
        return f"{self.name}: {self.dtype} [{', '.join(sizes)}]"


class Signature(NamedTuple):
    """What a graph takes and returns, in its order."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def element_type(name: str | NumpyDType) -> str:
    """Return the element type of a format (by its name) or of a numpy dtype."""
    return _CODE_TYPES[name] if isinstance(name, str) else _ELEMENT_TYPES[name]


def operations(program: AIProgram, *names: str) -> list[Op]:
    """Return the ops of these names, wherever they sit, in the order of the program."""
    return [op for op in _nested(program._module._mlir_module.operation) if op.name in names]


def _nested(op: Op) -> Iterator[Op]:
    # Not op.walk(): it calls back from C++, and makes a Ctrl-C that comes there a RuntimeError.
    for region in op.regions:
        for block in region.blocks:
            for view in block.operations:
                inner = view.operation
                # Core AI ends a loop by a C++ exception, which takes longer than all else here.
                if len(inner.regions):
                    yield from _nested(inner)
                yield inner


def static_tensor(value: Value) -> Tensor | None:
    """Return the type of ``value``, or None when it is no tensor or its shape is not static."""
    return tensor_of(value.type)


def tensor_of(kind: Type) -> Tensor | None:
    """Return what ``kind`` says, or None when it is no tensor's or its shape is not static."""
    if not isinstance(kind, ir.RankedTensorType) or not kind.has_static_shape:
        return None
    return Tensor(tuple(kind.shape), str(kind.element_type))


def uses(value: Value) -> list[Use]:
    """Return who uses ``value``, nested regions included."""
    return [Use(use.owner, use.operand_number) for use in value.uses]


def operand_constant(op: Op, operand: int) -> Op | None:
    """Return the constant that operand number ``operand`` of ``op`` is, None if it is none."""
    owner = op.operands[operand].owner
    # A block argument is owned by a block, which has no name.
    return owner if getattr(owner, "name", None) == CONSTANT else None


def signature(program: AIProgram, graph: str) -> Signature:
    """Return the inputs and outputs of a graph.

    Raises:
        ValueError: the program has no such graph.
    """
    op = _graph(program, graph)
    (block,) = op.regions[0].blocks
    results = block.operations[len(block.operations) - 1].operands
    outputs = _named(op.attributes["res_attrs"], results)
    ports = (
        tuple(_port(name, value.type) for name, value in values.items())
        for values in (graph_inputs(program, graph), outputs)
    )
    return Signature(*ports)


def graph_inputs(program: AIProgram, graph: str) -> dict[str, Value]:
    """Return the values that a graph takes, by name; ``program`` must outlive them."""
    op = _graph(program, graph)
    (block,) = op.regions[0].blocks
    return _named(op.attributes["arg_attrs"], block.arguments)


def _named(attributes: Any, values: Any) -> dict[str, Value]:
    # A graph that keeps state returns a token, which has no name.
    named = (pair for pair in zip(attributes, values, strict=True) if "coreai.name" in pair[0])
    return {ir.StringAttr(names["coreai.name"]).value: value for names, value in named}


def _port(name: str, kind: Any) -> Port:
    if not isinstance(kind, ir.RankedTensorType):  # a handle, for state that is kept between runs
        return Port(name, str(kind), (), None)
    shape = tuple(
        None if kind.is_dynamic_dim(axis) else size for axis, size in enumerate(kind.shape)
    )
    return Port(name, str(kind), shape, _PORT_DTYPES.get(str(kind.element_type)))


def _graph(program: AIProgram, name: str) -> Op:
    graphs = {
        ir.StringAttr(op.attributes["sym_name"]).value: op.operation
        for op in program._module._mlir_module.body.operations
        if "sym_name" in op.attributes
    }
    if name not in graphs:
        raise ValueError(f"the program has no graph {name!r}; it has {sorted(graphs)}")
    return graphs[name]


def read_output(output: NDArray) -> npt.NDArray[Any]:
    """Return a copy of what the runtime returned, as an array."""
    if output.dtype != "bfloat16":
        return output.numpy().copy()
    # Core AI 1.0.0b3 hands bfloat16 to numpy in a way that numpy 2.5 refuses with a BufferError.
    raw = memoryview(output._tensor).tobytes()
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(output.shape)


def graph_name(op: Op) -> str:
    """Return the name of the graph that ``op`` is in."""
    while "sym_name" not in op.attributes:
        op = op.parent
    return str(ir.StringAttr(op.attributes["sym_name"]).value)


class Origin(NamedTuple):
    """Where an op comes from, by its debug information.

    Attributes:
        modules: the modules that it was converted from, from the whole model to the innermost, e.g.
            ``("Encoder$1", "Linear$3")``; empty if that was not recorded.
        source: path and line in the source, e.g. ``("model.py", 12)``, None if not recorded.
        op_id: the number that Core AI's tools show, unique in its graph; None if it has none.
    """

    modules: tuple[str, ...]
    source: tuple[str, int] | None
    op_id: int | None


_QUOTED = r'"(?:[^"\\]|\\.)*"'
_SOURCE = re.compile(rf"loc\(({_QUOTED}):(\d+):\d+")
_OP_ID = re.compile(r'"op_id": \{type = "coreai", value = (\d+)')
_CALL_STACK = re.compile(rf'"call_stack": \[((?:{_QUOTED}(?:, )?)*)\]')
_NO_FILE = "-"
"""What converters write for the file where they record none."""


def origin(op: Op) -> Origin:
    """Return where ``op`` comes from."""
    text = str(op.location)  # Core AI has no other way to read metadata
    source, op_id, stack = (found.search(text) for found in (_SOURCE, _OP_ID, _CALL_STACK))
    modules = reversed(re.findall(_QUOTED, stack[1])) if stack else ()
    file = source[1][1:-1] if source else _NO_FILE
    return Origin(
        modules=tuple(quoted[1:-1] for quoted in modules),
        source=(file, int(source[2])) if source and file != _NO_FILE else None,
        op_id=int(op_id[1]) if op_id else None,
    )


def location_text(op: Op) -> str:
    """Return where ``op`` comes from, short: the source line, and the id that debug tools show."""
    _, source, op_id = origin(op)
    parts = [f"{source[0]}:{source[1]}" if source else ""]
    parts += [f"op_id {op_id}" if op_id is not None else ""]
    return ", ".join(filter(None, parts)) or str(op.location)


class Buffer:
    """Memory to read constants into, one after the other; it grows to the largest."""

    def __init__(self) -> None:
        self._bytes = np.empty(0, np.uint8)

    def take(self, nbytes: int) -> npt.NDArray[np.uint8]:
        """Return ``nbytes`` bytes; what was returned before is overwritten."""
        if nbytes > self._bytes.nbytes:
            self._bytes = memory.empty(nbytes, np.uint8)
        return self._bytes[:nbytes]


def read_constant(
    op: Op, buffer: Buffer | None = None, tensor: Tensor | None = None
) -> npt.NDArray[Any]:
    """Return a constant's value: an array of its shape and dtype.

    Dense attributes, splats and resources, float or bfloat16, are all read by this one call: numpy
    cannot see into resources, and into bfloat16 not at all.

    Args:
        op: the constant.
        buffer: memory for the array, which then lives until the next constant is read into it.
        tensor: its type, where that is known already; asking takes longer than a small constant.
    """
    tensor = tensor or static_tensor(op.result)
    assert tensor is not None
    assert tensor.dtype is not None
    raw = (buffer or Buffer()).take(tensor.nbytes)
    copy_constant_value_to_array(constant_op=op, destination=raw)
    return raw.view(tensor.dtype).reshape(tensor.shape)


def read_integers(op: Op) -> Any:
    """Return a constant's integers as lists of ints, or the one it is: a permutation, say."""
    value = op.attributes["value"]
    # Which small constants are, and of integers numpy can see into: several times as quick.
    if isinstance(value, ir.DenseElementsAttr):
        return np.array(value).tolist()
    return read_constant(op).tolist()


def read_packed(op: Op) -> npt.NDArray[np.uint8]:
    """Return a constant's elements as they are stored, flat; unused bits of the last byte are zero.

    Args:
        op: a constant of codes, of 8, 4 or 2 bits.

    Raises:
        ValueError: codes of less than a byte are stored one per byte.
    """
    tensor = static_tensor(op.result)
    assert tensor is not None
    # Core AI copies what is stored, however little room there is.
    raw = np.zeros(max(tensor.nbytes, tensor.size), np.uint8)
    raw[tensor.nbytes :] = _NO_CODE
    copy_constant_value_to_array(constant_op=op, destination=raw)
    if np.any(raw[tensor.nbytes :] != _NO_CODE):
        raise ValueError(
            f"its {tensor.format} codes are stored one per byte; Core AI's runtime takes them for "
            f"{8 // _bits(tensor.element)} per byte and reads noise"
        )
    return raw[: tensor.nbytes]


_NO_CODE = 0xAA
"""A byte that holds no code of less than a byte, sign-extended or not."""


def stored_bytes(op: Op) -> int:
    """Return the bytes a constant's value takes in a saved program; a splat takes next to none."""
    value = op.attributes["value"]
    if isinstance(value, ir.DenseElementsAttr) and value.is_splat:
        return 0
    tensor = static_tensor(op.result)
    return tensor.nbytes if tensor is not None else 0


Parts = dict[Any, Any]
"""Types and attributes that ops of one program are made of, by what they are.

Making them takes longer than making an op. They keep the program's context alive.
"""


class Builder:
    """Makes ops just before ``op``, with its location; if a ``with`` block raises, takes them back.

    Context, place and location go with every call: Core AI can also take them from ``with``
    statements, but one that Ctrl-C keeps from being left would hold for all that comes after.

    Args:
        op: the op.
        parts: what ops of the same program were made of so far; it grows.
    """

    def __init__(self, op: Op, parts: Parts | None = None) -> None:
        self._built: list[Op] = []
        self._parts = {} if parts is None else parts
        self._context, self._location = op.context, op.location
        self._place = ir.InsertionPoint(op)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is not None:
            self.erase()

    def constant(self, array: npt.NDArray[Any], shape: tuple[int, ...], element: str) -> Value:
        """Make a constant that shares the memory of ``array``.

        Args:
            array: the elements in C order; codes of less than a byte packed, as uint8. It becomes
                read-only, and lives as long as the program needs it.
            shape: shape of the constant.
            element: element type of the constant.
        """
        array.flags.writeable = False
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        tensor = Tensor(shape, element)
        # Core AI does not check this, and would read past the end.
        assert raw.nbytes == tensor.nbytes
        kind = self._type(tensor)
        value = ir.DenseResourceElementsAttr.get_from_buffer(
            raw,
            f"quantized_{next(_resource_numbers)}",
            kind,
            alignment=_ALIGNMENT,
            context=self._context,
        )
        return self._constant(kind, value)

    def splat(self, number: float, shape: tuple[int, ...], element: str) -> Value:
        """Make a constant of which every element is ``number``."""
        kind = self._type(Tensor(shape, element))
        key = kind, float(number).hex()  # which tells -0.0 from 0.0
        if key not in self._parts:
            self._parts[key] = self._splat(kind, number)
        return self._constant(kind, self._parts[key])

    def blockwise_shift_scale(
        self, result: Tensor, *, data: Value, scale: Value, offset1: Value, offset2: Value
    ) -> Value:
        """Make ``scale * (data - offset1) + offset2``, one scale per block of ``data``.

        Args:
            result: shape of ``data``, element type of ``offset2``; Core AI verifies that.
        """
        kind = self._type(result)
        return self._op(BLOCKWISE_SHIFT_SCALE, kind, (data, scale, offset1, offset2), {})

    def erase(self) -> None:
        """Take back everything that was made."""
        while self._built:
            made = self._built.pop()
            # A Ctrl-C can come before an op is noted, and Core AI ends the process when an op is
            # erased that others use.
            for use in uses(made.result):
                use.op.erase()
            made.erase()

    def _type(self, tensor: Tensor) -> Type:
        if tensor not in self._parts:
            element = ir.Type.parse(tensor.element, self._context)
            kind = ir.RankedTensorType.get(tensor.shape, element, loc=self._location)
            self._parts[tensor] = kind
        return self._parts[tensor]

    def _splat(self, kind: Type, number: float) -> Any:
        if isinstance(kind.element_type, ir.IntegerType):
            scalar = ir.IntegerAttr.get(kind.element_type, int(number))
        else:
            scalar = ir.FloatAttr.get(kind.element_type, float(number), loc=self._location)
        return ir.DenseElementsAttr.get_splat(kind, scalar)

    def _constant(self, kind: Type, value: Any) -> Value:
        return self._op(CONSTANT, kind, (), {"value": value})

    def _op(
        self, name: str, kind: Type, operands: Sequence[Value], attributes: dict[str, Any]
    ) -> Value:
        op = ir.Operation.create(
            name, [kind], operands, attributes, loc=self._location, ip=self._place
        )
        self._built.append(op)
        op.verify()
        return op.result


def replace(op: Op, value: Value) -> None:
    """Let every user of ``op`` use ``value`` instead; erase ``op``, and constants only it used."""
    constants: list[Op] = []
    for operand in range(len(op.operands)):
        constant = operand_constant(op, operand)
        if constant is not None and constant not in constants:
            constants.append(constant)
    op.result.replace_all_uses_with(value)
    op.erase()
    for constant in constants:
        if not uses(constant.result):
            constant.erase()
