"""Small Core AI programs for the tests: build one, run it, look inside."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
from coreai._compiler import ir as mlir
from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import copy_constant_value_to_array
from coreai.authoring import (
    AIModelAsset,
    AIProgram,
    Module,
    TensorType,
    Value,
    broadcasting_batch_matmul,
    conv2d,
    conv_transpose2d,
    gather_nd,
    graph,
    transpose,
)
from coreai.authoring.constant import constant
from coreai.runtime import NDArray

from coreai_opt.program import ir

Array = npt.NDArray[Any]
Signature = Mapping[str, tuple[tuple[int, ...], Any]]
"""Names, shapes and dtypes of inputs or outputs."""

F32 = np.dtype(np.float32)


def make_graph(
    body: Callable[..., Any], inputs: Signature, outputs: Signature, **flags: Any
) -> Any:
    """Add a graph to the module under construction; ``body`` takes and returns values.

    Returns:
        a function to invoke it with.
    """
    takes = {name: Annotated[Value, TensorType(*spec)] for name, spec in inputs.items()}
    gives = (Annotated[Value, TensorType(*spec, name=name)] for name, spec in outputs.items())

    def function(*values: Value) -> Any:
        return body(*values)

    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    parameters = [inspect.Parameter(name, kind, annotation=takes[name]) for name in takes]
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what Core AI reads
    function.__annotations__ = {**takes, "return": tuple[*gives]}  # type: ignore[valid-type]  # made at run time
    return graph(function, **flags)


def make_program(body: Callable[..., Any], inputs: Signature, outputs: Signature) -> AIProgram:
    """Return a program of one graph, ``main``, as it was written.

    Core AI's own optimization of new programs is left out: it folds constants, among them
    transposed ones, that are there in converted programs.
    """
    module = Module.create()
    with module._block_context():
        make_graph(body, inputs, outputs, provided_name="main")
    return AIProgram(module)


def random_weight(shape: tuple[int, ...], dtype: Any = F32, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def u32(*numbers: int) -> Array:
    return np.array(numbers, np.uint32)


def new_builder() -> ir.Builder:
    """What makes ops in the graph that is being written."""
    here = constant(np.zeros(1, np.float32))._to_mlir().owner
    return ir.Builder(here)


# The five kinds of weights, each an expression of an input and a weight.


def linear(x: Value, weight: Any) -> Value:
    """A weight ``[O, I]`` through a transpose into a matmul, as nn.Linear has it."""
    return broadcasting_batch_matmul(x, transpose(weight, u32(1, 0)))


def convolution(x: Value, weight: Any, groups: int = 1) -> Value:
    return conv2d(x, weight, u32(1, 1), u32(1, 1), np.uint32(groups))


def transposed_convolution(x: Value, weight: Any, groups: int = 1) -> Value:
    one, zero = u32(1, 1), u32(0, 0)
    return conv_transpose2d(x, weight, one, zero, one, zero, np.uint32(groups))


def if_(
    flag: Value,
    result: tuple[tuple[int, ...], Any],
    then: Callable[[], Value],
    otherwise: Callable[[], Value],
) -> Value:
    """A ``coreai.if`` whose regions compute ``then()`` and ``otherwise()``."""
    from coreai._compiler.dialects import coreai  # it must be imported after coreai.authoring

    kind = TensorType(*result)._to_mlir()
    value, regions = coreai.if_([kind], flag._to_mlir())
    for region, body in zip(regions, (then, otherwise), strict=True):
        with region:
            coreai.yield_([body()._to_mlir()])
    return Value._from_mlir(value)


def while_(
    flag: Value, start: tuple[Value, ...], body: Callable[..., tuple[Value, ...]]
) -> tuple[Value, ...]:
    """A ``coreai.while`` that computes ``body`` over and over, of ``start`` at first."""
    from coreai._compiler.dialects import coreai  # it must be imported after coreai.authoring

    kinds = [value._to_mlir().type for value in start]
    results, regions = coreai.while_(kinds, [value._to_mlir() for value in start])
    op = results[0].owner
    for region, number in zip(regions, (0, 1), strict=True):
        carried = list(op.regions[number].blocks[0].arguments)
        with region:
            if number == 0:
                coreai.condition(flag._to_mlir(), *carried)
            else:
                values = body(*map(Value._from_mlir, carried))
                coreai.yield_([value._to_mlir() for value in values])
    return tuple(map(Value._from_mlir, results))


def matmul_program(weight: Array, batch: tuple[int, ...] = ()) -> AIProgram:
    """``y = x @ weight`` for ``x [*batch, 3, K]``."""
    *_, rows, columns = weight.shape
    return make_program(
        lambda x: (broadcasting_batch_matmul(x, constant(weight)),),
        {"x": ((*batch, 3, rows), weight.dtype)},
        {"y": ((*batch, 3, columns), weight.dtype)},
    )


def linear_program(weight: Array) -> AIProgram:
    """``y = x @ weight.T`` for ``x [3, K]``, of float32."""
    rows, columns = weight.shape
    return make_program(
        lambda x: (linear(x, weight),), {"x": ((3, columns), F32)}, {"y": ((3, rows), F32)}
    )


def two_layers(a: int = 8, b: int = 6, c: int = 4) -> AIProgram:
    """``y = x @ first @ second`` with ``first [a, b]`` and ``second [b, c]``."""

    def body(x: Any) -> Any:
        hidden = broadcasting_batch_matmul(x, constant(random_weight((a, b), seed=1)))
        return (broadcasting_batch_matmul(hidden, constant(random_weight((b, c), seed=2))),)

    return make_program(body, {"x": ((3, a), F32)}, {"y": ((3, c), F32)})


def as_array(output: NDArray) -> Array:
    """Copy an output of the runtime into an array."""
    if output.dtype != "bfloat16":
        return output.numpy().copy()
    # Core AI 1.0.0b3 hands bfloat16 to numpy in a way that numpy 2.5 refuses with a BufferError.
    raw = memoryview(output._tensor).tobytes()
    return np.frombuffer(raw, ml_dtypes.bfloat16).reshape(output.shape)


def run(program: AIProgram, inputs: Mapping[str, Array]) -> dict[str, Array]:
    """Save ``program``, load it, and run its graph ``main`` on Core AI's runtime."""

    async def predict(asset: AIModelAsset) -> dict[str, Array]:
        async with asset.executable() as model:
            values = {name: NDArray(np.ascontiguousarray(a)) for name, a in inputs.items()}
            outputs = await model.load_function("main")(values)
            return {name: as_array(output) for name, output in outputs.items()}

    with TemporaryDirectory() as folder:
        asset = program.save_asset(Path(folder) / "program.aimodel")
        return asyncio.run(predict(AIModelAsset.load(asset.path)))


def text(program: AIProgram) -> str:
    """Everything in a small program: ops, constants byte for byte, locations."""
    return str(program._module._mlir_module.operation.get_asm(enable_debug_info=True))


def ops(program: AIProgram) -> list[Any]:
    """Every op of a program."""
    found: list[Any] = []

    def visit(op: Any) -> Any:
        found.append(op)
        return mlir.WalkResult.ADVANCE

    program._module._mlir_module.operation.walk(visit)
    return found


def stored(op: Any) -> tuple[tuple[int, ...], str, bytes]:
    """Shape, element type and stored bytes of a constant."""
    tensor = ir.static_tensor(op.result)
    assert tensor is not None
    raw = np.zeros(tensor.nbytes, np.uint8)
    copy_constant_value_to_array(constant_op=op, destination=raw)
    return tensor.shape, tensor.element, raw.tobytes()


def all_stored(program: AIProgram) -> list[tuple[tuple[int, ...], str, bytes]]:
    """Every constant of a program."""
    return [stored(op) for op in ir.operations(program, ir.CONSTANT)]


def operand_constants(op: Any) -> list[tuple[tuple[int, ...], str, bytes]]:
    """The constants that an op decodes: data, scale, offset1, offset2."""
    return [stored(operand.owner) for operand in op.operands]


def weight_values(program: AIProgram) -> list[Any]:
    """What the weights of a program are: first those that are quantized, then the others.

    Nothing is said of ops that nothing uses. Ctrl-C may leave some, when it comes between the
    instructions that exchange a weight for what decodes to it.
    """
    from coreai_opt.program.weights import find_weights

    decoders = ir.operations(program, ir.BLOCKWISE_SHIFT_SCALE)
    quantized = [operand_constants(op) for op in decoders if ir.uses(op.result)]
    return quantized + [[stored(weight.op)] for weight in find_weights(program, 0)]


def weight_shapes(program: AIProgram, threshold: int = 0) -> list[tuple[int, ...]]:
    """Shapes of the weights that are found in a program."""
    from coreai_opt.program.weights import find_weights

    return [weight.shape for weight in find_weights(program, threshold)]


def roles(layout: Any) -> str:
    """The roles of each axis, e.g. ``"B2.O3 I4 T3"``: axis 0 is 2 groups of 3 output channels."""
    letters = {"BATCH": "B", "OUTPUT": "O", "INPUT": "I", "TAP": "T", "OUTPUT_TAP": "P"}
    return " ".join(
        ".".join(f"{letters[factor.role.name]}{factor.size}" for factor in axis) or "-"
        for axis in layout
    )


TABLE, LINEAR, RIGHT = (48, 64), (32, 64), (32, 16)


def three_kinds() -> AIProgram:
    """A table of embeddings, a linear layer through a transpose, and a matmul."""

    def body(rows: Value) -> Any:
        x = gather_nd(constant(random_weight(TABLE)), rows)
        x = linear(x, constant(random_weight(LINEAR, seed=1)))
        return (broadcasting_batch_matmul(x, constant(random_weight(RIGHT, seed=2))),)

    return make_program(body, {"rows": ((4, 1), np.int32)}, {"y": ((4, 16), F32)})


def layers(*weights: Any) -> AIProgram:
    """A program of matmuls by these weights, one after the other."""

    def body(x: Value) -> Any:
        for weight in weights:
            x = broadcasting_batch_matmul(x, constant(weight))
        return (x,)

    first, last = weights[0], weights[-1]
    return make_program(
        body, {"x": ((3, len(first)), first.dtype)}, {"y": ((3, last.shape[1]), last.dtype)}
    )
