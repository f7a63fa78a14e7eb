"""Programs that are not one ``main``: several functions, states, dimensions that are not fixed."""

import re
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreai._compiler import ir as mlir
from coreai.authoring import (
    AIModelAsset,
    AIProgram,
    AllocationType,
    Context,
    HardwareConstraints,
    Module,
    broadcasting_batch_matmul,
    gather_nd,
    get_shape,
    reshape,
)
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import compare_programs, plan_quantization, quantize_weights
from coreai_opt.program.functions import find_function, fixed_shape
from coreai_opt.program.inputs import random_inputs
from coreai_opt.program.ir import function_inputs, functions
from coreai_opt.program.ir.ops import graphs
from coreai_opt.program.runtime import run_program, run_samples

from ..support.command import COMMAND
from ..support.programs import F32, make_graph, make_program, matmul_program, random_weight, u32

EXPORTED = Path(__file__).parents[3] / "shared" / "assets" / "exported"
WEIGHTS = {"narrow": random_weight((64, 3)), "wide": random_weight((64, 70), seed=1)}
X = random_weight((2, 64), seed=2)


def two_functions() -> AIProgram:
    """``narrow`` and ``wide``: ``x`` times the weight of that name."""
    module = Module.create()

    def times(weight: Any) -> Any:
        return lambda x: (broadcasting_batch_matmul(x, constant(weight)),)

    with module._block_context():
        for name, weight in WEIGHTS.items():
            outputs = {"y": ((2, weight.shape[1]), F32)}
            make_graph(times(weight), {"x": ((2, 64), F32)}, outputs, provided_name=name)
    return AIProgram(module)


def running_total(size: str = "2") -> AIProgram:
    """``total += x; y = x @ total`` for a state ``total``, in text, as exporters write caches."""
    state, x = f"tensor<{size}x3xf32>", "tensor<3x3xf32>"
    text = f"""
    coreai.graph @main(
        %x: {state} {{coreai.name = "x"}},
        %total: !coreai.handle<{state}> {{coreai.name = "total"}}
    ) -> (!coreai.token {{coreai.name = "total"}}, {state} {{coreai.name = "y"}}) {{
      %0 = coreai.create_token : !coreai.token
      %1, %2 = coreai.read_handle %total, %0
          : (<{state}>, !coreai.token) -> ({state}, !coreai.token)
      %3 = coreai.decomposable.broadcasting_add %1, %x : ({state}, {state}) -> {state}
      %w = coreai.constant dense<[[1.0, 0.3, 0.7], [0.2, -2.0, 0.1], [0.9, 0.4, -3.0]]> : {x}
      %4 = coreai.decomposable.broadcasting_batch_matmul %3, %w : ({state}, {x}) -> {state}
      %5 = coreai.write_handle %total, %3, %2 : (<{state}>, {state}, !coreai.token) -> !coreai.token
      coreai.output %5, %4 : !coreai.token, {state}
    }}"""
    return AIProgram._from_mlir_module(mlir.Module.parse(text, Context()._mlir_context))


W = np.array([[1.0, 0.3, 0.7], [0.2, -2.0, 0.1], [0.9, 0.4, -3.0]], F32)


def any_length() -> AIProgram:
    """Rows of a table by number, as many as asked for, and ``x`` of two lengths times a weight."""

    def body(ids: Any, x: Any) -> Any:
        rows = gather_nd(constant(random_weight((40, 8))), reshape(ids, u32(7, 1)))
        return rows, broadcasting_batch_matmul(x, constant(random_weight((8, 5))))

    return make_program(
        body,
        {"ids": ((-1,), np.int32), "x": ((-1, -1, 8), F32)},
        {"rows": ((7, 8), F32), "y": ((-1, -1, 5), F32)},
    )


# Functions.


def test_a_function_is_run_by_its_name() -> None:
    program = two_functions()
    assert list(functions(program)) == ["narrow", "wide"]
    for name, weight in WEIGHTS.items():
        y = run_program(program, {"x": X}, function=name)["y"]
        np.testing.assert_allclose(y, X @ weight, rtol=1e-4, atol=1e-4)


def test_the_only_function_needs_no_name() -> None:
    module = Module.create()
    with module._block_context():
        make_graph(lambda x: (x,), {"x": ((2,), F32)}, {"y": ((2,), F32)}, provided_name="extend")
    program = AIProgram(module)
    assert find_function(program, None)[0] == "extend"
    assert run_program(program, {"x": X[0, :2]})["y"].tolist() == X[0, :2].tolist()


def test_one_of_several_functions_is_asked_for_by_name() -> None:
    program = two_functions()
    several = "function must be given, because the program has several: 'narrow', 'wide'"
    with pytest.raises(ValueError, match=re.escape(several)):
        run_program(program, {"x": X})
    unknown = "function must be one of 'narrow', 'wide'; got 'narow' (did you mean 'narrow'?)"
    with pytest.raises(ValueError, match=re.escape(unknown)):
        compare_programs(program, program, function="narow")
    with pytest.raises(TypeError, match="function must be the name of a function; got 1"):
        run_program(program, {"x": X}, function=1)  # type: ignore[arg-type]  # the error to test


def test_graphs_that_are_called_only_are_no_functions() -> None:
    """Private ones, and those that exporters leave public without a name for what they return."""
    module = Module.create()
    x, y = {"x": ((2,), F32)}, {"y": ((2,), F32)}
    with module._block_context():
        make_graph(lambda x: (x,), x, y, provided_name="hidden", no_inline=True, private=True)
        make_graph(lambda x: (x,), x, y, provided_name="main")
    assert list(functions(AIProgram(module))) == ["main"]
    unnamed = """coreai.graph @rope(%x: tensor<2xf32>) -> tensor<2xf32> {
        coreai.output %x : tensor<2xf32>
    }"""
    parsed = AIProgram._from_mlir_module(mlir.Module.parse(unnamed, Context()._mlir_context))
    with pytest.raises(ValueError, match="the program has no function that can be run"):
        run_program(parsed, {})


def test_functions_are_compared_and_planned() -> None:
    program = two_functions()
    quantized = quantize_weights(program, "int4", weight_num_threshold=1024)  # the wide one
    assert compare_programs(program, quantized, function="narrow")[0].sqnr_db == np.inf
    assert 15 < compare_programs(program, quantized, function="wide")[0].sqnr_db < 30
    plan = plan_quantization(
        program, min_sqnr=20, inputs={"x": X}, function="wide", weight_num_threshold=0
    )
    assert {choice.name.split("/")[0] for choice in plan.choices} == {"narrow", "wide"}
    # That of the other function, which running tells nothing of, is not given away.
    assert "int2" not in {choice.rule.dtype for choice in plan.choices}


# States.


def test_states_start_as_zeros_in_every_run() -> None:
    program = running_total()
    samples = [{"x": np.full((2, 3), k, F32)} for k in (1, 5)]
    for k, outputs in zip((1, 5), run_samples(program, samples), strict=True):
        np.testing.assert_allclose(outputs["y"], np.full((2, 3), k, F32) @ W, rtol=1e-5)


def test_states_that_are_given() -> None:
    program, x, total = running_total(), X[:, :3], X[:, 3:6]
    states = {"total": total.astype(np.float64)}
    for outputs in run_samples(program, [{"x": x}, {"x": x}], states=states):
        np.testing.assert_allclose(outputs["y"], (x + total) @ W, rtol=1e-4, atol=1e-5)
    assert states["total"].tolist() == total.tolist()  # what a run leaves is not the caller's
    # Among the inputs of a comparison, too.
    (found,) = compare_programs(program, program, {"x": x, "total": total})
    assert found.sqnr_db == np.inf


@pytest.mark.parametrize(
    ("states", "words"),
    [
        ({"totals": X}, "no state 'totals'; the program takes total: float32 [2, 3]"),
        ({"total": X}, "state 'total' must be an array total: float32 [2, 3]; got float32 [2, 64]"),
        ({"total": np.ones((2, 3), np.int32)}, "got int32 [2, 3]"),
    ],
)
def test_states_that_do_not_fit(states: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        run_program(running_total(), {"x": X[:, :3]}, states=states)


def test_states_whose_size_is_not_fixed() -> None:
    program = running_total("?")
    assert find_function(program, None)[1].states[0].shape == (None, 3)
    x = random_weight((4, 3), seed=4)
    y = run_program(program, {"x": x}, sizes={"total": 4})["y"]
    np.testing.assert_allclose(y, x @ W, rtol=1e-4, atol=1e-5)
    (found,) = compare_programs(program, program, sizes={"x": 5, "total": 5})
    assert found.shape == (5, 3)


def test_programs_with_other_states_are_not_compared() -> None:
    other = running_total()
    (argument,) = (v for n, v in function_inputs(other, "main").items() if n == "total")
    graphs(other)["main"].attributes["arg_attrs"] = mlir.Attribute.parse(
        '[{coreai.name = "x"}, {coreai.name = "sum"}]', argument.context
    )
    differ = "the states of the two programs differ: total: float32 [2, 3] and sum: float32 [2, 3]"
    with pytest.raises(ValueError, match=re.escape(differ)):
        compare_programs(running_total(), other, {"x": X[:, :3]})


# Sizes.


def test_dimensions_that_are_not_fixed() -> None:
    program = any_length()
    made = random_inputs(program, sizes={"ids": 7, "x": (2, 3)})
    assert {name: array.shape for name, array in made.items()} == {"ids": (7,), "x": (2, 3, 8)}
    assert random_inputs(program, sizes={"x": 2})["x"].shape == (2, 2, 8)
    assert random_inputs(program)["ids"].shape == (32,)
    rows, y = compare_programs(program, program, sizes={"ids": 7, "x": (2, 3)})
    assert (rows.shape, y.shape) == ((7, 8), (2, 3, 5))


def test_ids_of_any_number_are_rows_of_their_table() -> None:
    assert set(random_inputs(any_length(), sizes={"ids": 2000})["ids"].tolist()) == set(range(40))


def test_an_input_whose_shape_alone_matters_selects_no_rows() -> None:
    def body(shaped: Any, ids: Any) -> Any:
        return (gather_nd(constant(random_weight((40, 4))), reshape(ids, get_shape(shaped))),)

    program = make_program(
        body, {"shaped": ((30, 1), np.int32), "ids": ((30,), np.int32)}, {"y": ((30, 4), F32)}
    )
    made = random_inputs(program)
    assert set(made["shaped"].ravel()) == {1}
    assert made["ids"].max() > 10


@pytest.mark.parametrize(
    ("sizes", "error", "words"),
    [
        ({"idx": 3}, ValueError, "sizes must be of inputs or states, 'ids', 'x'; got 'idx'"),
        ({"x": (2, 3, 4)}, ValueError, "one for each of its 2 dimensions that are not fixed; got"),
        ({"x": 0}, ValueError, "must be one number >= 1"),
        ({"x": True}, TypeError, "size of 'x' must be a whole number or several; got True"),
        ({"x": 2.5}, TypeError, "got 2.5"),
    ],
)
def test_sizes_that_do_not_fit(sizes: Any, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=re.escape(words)):
        random_inputs(any_length(), sizes=sizes)


def test_sizes_of_what_is_fixed() -> None:
    port = find_function(matmul_program(WEIGHTS["narrow"]), None)[1].inputs[0]
    assert fixed_shape(port, None) == (3, 64)
    with pytest.raises(ValueError, match="each of its 0 dimensions that are not fixed"):
        fixed_shape(port, {"x": (1, 2)})


# Memory.


@pytest.mark.parametrize(("name", "factor"), [("x", 8), ("y", 3)])
def test_what_is_interleaved_is_refused_and_what_is_aligned_is_not(name: str, factor: int) -> None:
    """Core AI refuses arrays for such inputs, and numpy would follow wrong strides in outputs."""
    program = matmul_program(WEIGHTS["narrow"])
    aligned = HardwareConstraints(AllocationType.IOSurface, (1, 64, 1), (1, 1))
    program.set_hardware_constraints("main", {name: aligned})
    x = random_weight((3, 64))
    np.testing.assert_allclose(
        run_program(program, {"x": x})["y"], x @ WEIGHTS["narrow"], rtol=1e-4, atol=1e-4
    )
    program = matmul_program(WEIGHTS["narrow"])
    interleaved = HardwareConstraints(AllocationType.IOSurface, (1, 1, 1), (1, factor))
    program.set_hardware_constraints("main", {name: interleaved})
    with pytest.raises(ValueError, match=f"put '{name}' of the program.*is interleaved in memory"):
        run_program(program, {"x": x})


# The command.


def command(*arguments: object) -> subprocess.CompletedProcess[str]:
    given = [str(argument) for argument in (COMMAND, *arguments)]
    return subprocess.run(given, capture_output=True, text=True, check=False)


def test_the_command_asks_for_a_function(tmp_path: Path) -> None:
    asset = tmp_path / "in.aimodel"
    two_functions().save_asset(asset)
    options = ("quantize", asset, tmp_path / "out.aimodel", "--dtype", "int4", "--verify")
    done = command(*options)
    assert (done.returncode, done.stderr) == (
        2,
        "coreai-opt: error: --function must be given, because the program has several: 'narrow', "
        "'wide'\n",
    )
    assert list(tmp_path.iterdir()) == [asset]
    assert command(*options, "--function", "wide").returncode == 0
    judged = ("compare", asset, tmp_path / "out.aimodel", "--min-sqnr", 60)
    assert command(*judged, "--function", "narrow").returncode == 0
    assert command(*judged, "--function", "wide").returncode == 1
    unused = command(*options[:-1], "--force", "--function", "wide")
    assert "--function and --size need --verify, --inputs" in unused.stderr


def test_the_command_takes_sizes_and_states(tmp_path: Path) -> None:
    asset = tmp_path / "in.aimodel"
    running_total("?").save_asset(asset)
    done = command("compare", asset, asset, "--size", "x=5", "--size", "total=5")
    assert "Outputs on random inputs of x 5x3\n" in done.stdout
    assert "(5, 3)" in done.stdout
    np.savez(tmp_path / "in.npz", x=X[:, :3], total=X[:, 3:6])
    assert command("compare", asset, asset, "--inputs", tmp_path / "in.npz").returncode == 0
    for size in ("x", "x=", "=4", "x=4x", "x=-4"):
        done = command("compare", asset, asset, "--size", size)
        assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert (
        "--size must be of inputs or states"
        in command("compare", asset, asset, "--size", "z=4").stderr
    )


def test_inspect_shows_what_functions_take(tmp_path: Path) -> None:
    running_total("?").save_asset(tmp_path / "in.aimodel")
    lines = [
        [cell.strip() for cell in re.split(r"\s{2,}|│", line) if cell.strip()]
        for line in command("inspect", tmp_path / "in.aimodel").stdout.splitlines()
    ]
    first = lines.index(["1 function can be run"]) + 3
    assert [line[-5:] for line in lines[first : first + 3]] == [
        ["main", "input", "x", "float32", "(?, 3)"],
        ["main", "state", "total", "float32", "(?, 3)"],
        ["main", "output", "y", "float32", "(?, 3)"],
    ]


# Programs as exporters write them.

exported = pytest.mark.skipif(
    not EXPORTED.is_dir(), reason=f"the folder of exported networks, {EXPORTED}, is not there"
)


@exported
@pytest.mark.parametrize("name", ["qwen3", "qwen3_moe_debug"])
def test_language_models_are_compared(name: str) -> None:
    """Their ids are of a table, their caches zeros, their lengths what is asked for."""
    asset = AIModelAsset.load(EXPORTED / f"{name}.aimodel")
    sizes = {"input_ids": 4, "position_ids": 4}
    assert random_inputs(asset.program, sizes={"input_ids": 1000})["input_ids"].max() > 4000
    quantized = quantize_weights(asset.program, "int8")
    (logits,) = compare_programs(asset, quantized, sizes=sizes)
    assert logits.shape == (1, 4, 4096)
    assert 20 < logits.sqnr_db < 60


@exported
def test_functions_of_an_export_for_phones() -> None:
    """Graphs that others call are left out; what is interleaved says so."""
    program = AIModelAsset.load(EXPORTED / "qwen3_ios.aimodel").program
    names = list(functions(program))
    assert len(names) == 16
    assert {name.split("_")[0] for name in names} == {"load", "gather", "extend", "prompt"}
    signature = functions(program)["extend_256_8"]
    assert [port.name for port in signature.states] == ["key_cache", "value_cache"]
    with pytest.raises(ValueError, match=r"'embedding_table' of the program.*is interleaved"):
        run_program(program, {}, function="extend_256_8")
