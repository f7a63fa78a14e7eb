"""Names of weights: what they say, and that they stay."""

import fnmatch
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreai._compiler import ir as mlir
from coreai._compiler._mlir_libs._coreaiIR._bindings.mlir import set_op_location
from coreai.authoring import (
    AIModelAsset,
    AIProgram,
    Module,
    Value,
    broadcasting_add,
    broadcasting_batch_matmul,
    gather_nd,
    transpose,
)
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import ir
from coreai_opt.program.names import Names
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.exported import PRIVATE, experts_program, make_graphs
from ..support.programs import F32, linear, make_graph, make_program, random_weight, u32

LAYERS = ((8, 8), (8, 8), (8, 6), (6, 8), (8, 8))


def make_layers(*shapes: tuple[int, int]) -> AIProgram:
    """A program of matmuls by weights of these shapes, one after the other."""

    def body(x: Value) -> Any:
        for number, shape in enumerate(shapes):
            x = broadcasting_batch_matmul(x, constant(random_weight(shape, seed=number)))
        return (x,)

    return make_program(body, {"x": ((3, shapes[0][0]), F32)}, {"y": ((3, shapes[-1][1]), F32)})


def names(program: AIProgram) -> list[str]:
    """The names of all weights, quantized or not."""
    return sorted(w.name for w in (*find_weights(program, 0), *find_quantized(program)))


def converted(
    *modules: str,
    file: str = "model.py",
    line: int = 19,
    op_id: int | None = 18,
    identifier: str = "mm",
) -> str:
    """A location as coreai-torch writes it; ``modules`` from the innermost on."""
    stack = ", ".join(f'"{module}"' for module in modules)
    mine = f', <"op_id": {{type = "coreai", value = {op_id} : ui64}}>' if op_id is not None else ""
    return (
        f'#debuginfo.location<loc("{file}":{line}:0) in @main fused with [<loc("outer.py":5:0) in '
        '@main>] metadata = [<"sources": [{id = 32 : ui64, identifiers = '
        f'["{identifier}"], name = "torch"}}]>,'
        f' <"op_id": {{type = "torch", value = 32 : ui64}}>, <"call_stack": [{stack}]>{mine}]>'
    )


def locate(op: ir.Op, location: str) -> None:
    """Give an op this location."""
    parsed = mlir.Attribute.parse(location, op.context)
    set_op_location(op, mlir.Location.from_attr(parsed, op.context))


def located(location: str) -> tuple[str, str]:
    """Name and location of the one weight of a program, whose constant has this location."""
    program = make_layers((8, 6))
    (op,) = ir.operations(program, ir.CONSTANT)
    locate(op, location)
    (weight,) = find_weights(program, 0)
    return weight.name, weight.location


@pytest.mark.parametrize(
    ("location", "name", "text"),
    [
        (
            converted("Linear$3", "Encoder$1"),
            "main/Encoder.1/Linear.3/broadcasting_batch_matmul:1/8x6@18",
            "model.py:19, op_id 18",
        ),
        (
            converted(file="/folder of mine/the model.py"),
            "main/the_model.py:19/broadcasting_batch_matmul:1/8x6@18",
            "/folder of mine/the model.py:19, op_id 18",
        ),
        (
            converted(file="-", line=0),
            "main/broadcasting_batch_matmul:1/8x6@18",
            "op_id 18",
        ),
        (
            converted("Lin*[a]ë/@:$1", op_id=None),
            "main/Lin__a__C3_AB___.1/broadcasting_batch_matmul:1/8x6",
            "model.py:19",
        ),
    ],
    ids=["modules", "source", "only op_id", "no op_id"],
)
def test_what_a_name_and_a_location_say(location: str, name: str, text: str) -> None:
    assert located(location) == (name, text)


def test_experts_are_named_after_what_hands_them_to_their_graph() -> None:
    program = experts_program(random_weight((1, 4, 64, 96)))
    (invoke,) = ir.operations(program, ir.INVOKE)
    locate(invoke, converted(identifier="layers_2_mlp_up_proj_0a1b2c3d"))
    (weight,) = find_weights(program, 1024)
    path = "/layers_2_mlp_up_proj/broadcasting_batch_matmul:1/1x4x64x96"
    assert weight.name.endswith(path)


def test_a_location_that_says_nothing_is_shown_as_it_is() -> None:
    name, location = located('#debuginfo.location<loc("-":0:0) in unit>')
    assert name == "main/broadcasting_batch_matmul:1/8x6"
    assert location == '#debuginfo.location<loc("-":0:0) in unit>'


def test_a_transpose_that_nothing_uses_is_no_consumer() -> None:
    def body(x: Value) -> Any:
        weight = constant(random_weight((8, 6)))
        transpose(weight, u32(1, 0))
        return (broadcasting_batch_matmul(x, weight),)

    (weight,) = find_weights(make_program(body, {"x": ((3, 8), F32)}, {"y": ((3, 6), F32)}), 0)
    assert weight.name.endswith("/broadcasting_batch_matmul:1/8x6")


def test_a_weight_with_several_users_is_named_after_all_whatever_their_order() -> None:
    rows = {"rows": ((4, 1), np.int32)}

    def program_of(*order: int) -> AIProgram:
        def body(x: Value, rows: Value) -> Any:
            table = constant(random_weight((48, 64)))
            uses = (lambda: linear(x, table), lambda: gather_nd(table, rows))
            made = {use: uses[use]() for use in order}
            return made[0], made[1]

        return make_program(
            body, {"x": ((4, 64), F32), **rows}, {"y": ((4, 48), F32), "z": ((4, 64), F32)}
        )

    for program in (program_of(0, 1), program_of(1, 0)):
        (name,) = names(program)
        assert name.endswith("/broadcasting_batch_matmul:1-gather_nd:0/48x64")
        assert names(quantize_weights(program, "int8")) == [name]


TIED = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from programs import F32, constant, linear, make_program, random_weight
from coreai.authoring import gather_nd
from coreai_opt.program.weights import find_weights

def body(x, rows):
    table = constant(random_weight((48, 64)))
    return linear(x, table), gather_nd(table, rows)

inputs, outputs = {"x": ((4, 64), F32), "rows": ((4, 1), np.int32)}, {"y": ((4, 48), F32)}
print(find_weights(make_program(body, inputs, outputs | {"z": ((4, 64), F32)}), 0)[0].name)
"""


def test_names_do_not_depend_on_the_seed_of_hashes() -> None:
    command = [sys.executable, "-c", TIED, str(Path(__file__).parents[1] / "support")]
    found = {
        subprocess.run(
            command, env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in "0123"
    }
    (name,) = found
    assert name.endswith(b"/broadcasting_batch_matmul:1-gather_nd:0/48x64\n")


def test_weights_in_the_same_place_are_counted_and_those_elsewhere_do_not_matter() -> None:
    found = [weight.name.split("/", 2)[2] for weight in find_weights(make_layers(*LAYERS), 0)]
    matmul = "broadcasting_batch_matmul:1"
    assert found == [
        f"{matmul}/8x8",
        f"{matmul}/8x8:2",
        f"{matmul}/8x6",
        f"{matmul}/6x8",
        f"{matmul}/8x8:3",
    ]
    fewer = [weight.name for weight in find_weights(make_layers(*LAYERS[1:]), 0)]
    assert set(fewer) < set(names(make_layers(*LAYERS)))


def test_weights_come_in_the_order_in_which_they_are_contracted() -> None:
    """Neither constants, nor what moves them, nor graphs need to stand in that order."""

    def write() -> None:
        second = make_graph(
            lambda x: (broadcasting_batch_matmul(x, constant(random_weight((10, 12)))),),
            {"x": ((4, 10), F32)},
            {"y": ((4, 12), F32)},
            provided_name="second",
            **PRIVATE,
        )

        def main(x: Value) -> Any:
            third = transpose(constant(random_weight((6, 12))), u32(1, 0))
            (y,) = second(broadcasting_batch_matmul(x, constant(random_weight((8, 10)))))
            return (broadcasting_batch_matmul(y, third),)

        make_graph(main, {"x": ((4, 8), F32)}, {"y": ((4, 6), F32)}, provided_name="main")

    found = [weight.shape for weight in find_weights(make_graphs(write), 0)]
    assert found == [(8, 10), (10, 12), (6, 12)]


def test_the_threshold_does_not_change_names() -> None:
    program = make_layers(*LAYERS)
    every = {weight.name for weight in find_weights(program, 0)}
    large = [weight.name for weight in find_weights(program, 48)]
    assert len(large) == 3
    assert set(large) < every


def test_names_are_of_the_graph_they_are_in() -> None:
    module = Module.create()
    signature = {"x": ((4, 8), F32)}, {"y": ((4, 8), F32)}

    def layer(seed: int) -> Any:
        weight = random_weight((8, 8), seed=seed)
        return lambda x: (broadcasting_batch_matmul(x, constant(weight)),)

    with module:
        inner = make_graph(
            layer(1), *signature, provided_name="inner", private=True, no_inline=True
        )
        make_graph(
            lambda x: (broadcasting_add(inner(x)[0], layer(2)(x)[0]),),
            *signature,
            provided_name="main",
        )
    graphs = {name.split("/")[0] for name in names(AIProgram(module))}
    assert len(graphs) == 2
    assert "main" in graphs


@pytest.mark.parametrize(
    "arguments",
    [
        {"dtype": "int8"},
        {"dtype": "uint4", "qscheme": "asymmetric"},
        {"dtype": "int4", "granularity": "per_block", "block_size": 4},  # skips [6, 8]
        {"dtype": "fp8_e4m3fn", "scale_dtype": "fp8_e8m0fnu"},
    ],
    ids=str,
)
def test_quantizing_and_saving_keep_names(arguments: dict[str, Any], tmp_path: Path) -> None:
    program = make_layers(*LAYERS)
    before = names(program)
    assert len(set(before)) == len(LAYERS)
    quantized = quantize_weights(program, weight_num_threshold=0, **arguments)
    assert find_quantized(quantized)
    assert names(quantized) == before
    asset = quantized.save_asset(tmp_path / "quantized.aimodel")
    assert names(AIModelAsset.load(asset.path).program) == before
    twice = quantize_weights(quantized, "int8", weight_num_threshold=0)
    assert names(twice) == before


def test_names_asked_for_in_the_middle_of_quantizing_are_the_same() -> None:
    """Names are made late: numbers must not move while one weight after another is replaced."""
    program = make_layers(*LAYERS)
    weights = find_weights(program, 0)
    quantize_weights(program, "int8", weight_num_threshold=48, in_place=True)
    late = [weight.name for weight in weights]
    assert late == [weight.name for weight in find_weights(make_layers(*LAYERS), 0)]


def test_a_name_as_a_pattern_matches_itself_only() -> None:
    program = make_layers(*LAYERS)
    every = names(program)
    for name in every:
        assert re.fullmatch(r"[A-Za-z0-9_./@:-]+", name)
        assert fnmatch.filter(every, name) == [name]


def test_names_are_not_made_where_nothing_asks_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take as long as finding the weights does."""

    def refuse(*_: object) -> str:
        raise AssertionError("a name was asked for")

    monkeypatch.setattr(Names, "__getitem__", refuse)
    quantize_weights(make_layers(*LAYERS), "int4", weight_num_threshold=0, in_place=True)
