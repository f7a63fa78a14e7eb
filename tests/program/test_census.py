"""What is no weight is listed; what would grow is kept; what clones share is one weight."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreai.authoring import (
    AIModelAsset,
    AIProgram,
    Value,
    broadcasting_add,
    broadcasting_batch_matmul,
    gather_nd,
)
from coreai.authoring.constant import constant

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import (
    dequantize_weights,
    palettize_weights,
    plan_quantization,
    quantize_weights,
    sparsify_weights,
)
from coreai_opt.program import ir
from coreai_opt.program.assets import asset_bytes
from coreai_opt.program.inventory import Inventory
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.reports import QuantizationReport

from ..support.every_form import CASE_NAMES, CASES, compress, shapes_of
from ..support.every_kind import every_kind, weights_of
from ..support.exported import EXPERT_X, experts_program, make_graphs, stack_program
from ..support.programs import (
    F32,
    linear,
    make_graph,
    make_program,
    matmul_program,
    random_weight,
    roles,
    run,
)

WEIGHT = random_weight((64, 48))


def with_others() -> AIProgram:
    """A weight, a bias that is added, a small weight, and a mask of one repeated element."""

    def body(x: Value) -> Any:
        y = broadcasting_batch_matmul(x, constant(WEIGHT))
        y = broadcasting_add(y, constant(random_weight((4, 48), seed=1)))
        mask = ir.Builder(y._to_mlir().owner).splat(-1e4, (4, 48), "f32")
        y = broadcasting_add(y, Value._from_mlir(mask))
        return (broadcasting_batch_matmul(y, constant(random_weight((48, 2), seed=2))),)

    return make_program(body, {"x": ((4, 64), F32)}, {"y": ((4, 2), F32)})


def test_what_is_no_weight_is_listed_with_the_reason() -> None:
    program = with_others()
    census = Inventory(program, 1024).census
    assert [(other.shape, other.nbytes, other.reason) for other in census.others] == [
        ((4, 48), 4 * 4 * 48, "never in a matmul or convolution"),
        ((48, 2), 4 * 48 * 2, "not more than 1,024 elements"),
        ((4, 48), 0, "one repeated element"),
    ]
    assert census.other_nbytes == 4 * (4 * 48 + 48 * 2)
    assert census.bits_per_weight == 32
    quantized = Inventory(quantize_weights(program, "int8"), 1024).census
    elements = 64 * 48 + 4 * 48 + 48 * 2
    assert quantized.elements == elements
    assert quantized.bits_per_weight == 8 * (64 * 48 + 4 * 48 + census.other_nbytes) / elements


def test_a_constant_that_nothing_uses_is_no_weight() -> None:
    def body(x: Value) -> Any:
        constant(random_weight((96, 48), seed=1))
        return (broadcasting_batch_matmul(x, constant(WEIGHT)),)

    program = make_program(body, {"x": ((4, 64), F32)}, {"y": ((4, 48), F32)})
    assert [weight.shape for weight in find_weights(program, 1024)] == [(64, 48)]
    (other,) = Inventory(program, 1024).census.others
    assert (other.shape, other.reason) == ((96, 48), "unused")


def test_a_weight_that_would_take_more_bytes_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    """A table of one element in each row has as many scales as elements."""
    program = make_program(
        lambda rows: (gather_nd(constant(random_weight((4096,), np.float16)), rows),),
        {"rows": ((4, 1), np.int32)},
        {"y": ((4,), np.float16)},
    )
    report = QuantizationReport()
    quantized = quantize_weights(program, "int8", weight_num_threshold=0, progress=report)
    assert find_quantized(quantized) == []
    (record,) = report.records
    assert record.status == "skipped"
    assert record.reason == "it would take 12,288 bytes, and takes 8,192 as it is"
    assert (record.nbytes_before, record.nbytes_after) == (8192, 8192)
    assert "fewer scales take less" in caplog.text


GROWING: list[tuple[str, Callable[[AIProgram, Any], AIProgram], int, str]] = [
    (  # 256 numbers for the 64 weights of each channel, and a byte for each weight
        "tables of half floats",
        lambda program, progress: palettize_weights(
            program, None, 8, "per_channel", weight_num_threshold=0, progress=progress
        ),
        64 * 24 + 24 * 256 * 2,
        "fewer look-up tables take less",
    ),
    (  # a bit for each weight, which 1 zero in 20 does not make up for
        "few zeros",
        lambda program, progress: sparsify_weights(
            program, 0.05, weight_num_threshold=0, progress=progress
        ),
        2 * (64 * 24 - 76) + 64 * 24 // 8,
        "more zeros take less",
    ),
]


@pytest.mark.parametrize(
    ("compress", "nbytes", "advice"), [case[1:] for case in GROWING], ids=[c[0] for c in GROWING]
)
def test_no_form_makes_a_weight_larger(
    compress: Callable[[AIProgram, Any], AIProgram],
    nbytes: int,
    advice: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    program, report = matmul_program(random_weight((64, 24), np.float16)), QuantizationReport()
    compressed = compress(program, report)
    assert find_quantized(compressed) == []
    (record,) = report.records
    assert record.status == "skipped"
    assert record.reason == f"it would take {nbytes:,} bytes, and takes 3,072 as it is"
    assert advice in caplog.text


def clones(count: int) -> AIProgram:
    """A program of functions for several sizes of their input, over the same two weights."""

    def write() -> None:
        first, second = random_weight((64, 48), seed=1), random_weight((48, 32), seed=2)

        def body(x: Value) -> Any:
            hidden = broadcasting_batch_matmul(x, constant(first))
            return (broadcasting_batch_matmul(hidden, constant(second)),)

        for size in range(1, count + 1):
            inputs, outputs = {"x": ((size, 64), F32)}, {"y": ((size, 32), F32)}
            name = "main" if size == 1 else f"main_{size}"
            make_graph(body, inputs, outputs, provided_name=name)

    return make_graphs(write)


@pytest.mark.parametrize("count", [1, 2, 8, 30])
def test_what_clones_share_is_quantized_and_stored_once(count: int, tmp_path: Path) -> None:
    program = clones(count)
    weights = find_weights(program, 0)
    assert [(weight.shape, len(weight.ops), weight.functions) for weight in weights] == [
        ((64, 48), count, count),
        ((48, 32), count, count),
    ]
    floats = 4 * (64 * 48 + 48 * 32)
    before = Inventory(program, 0).counts
    assert (before.weights, before.nbytes) == (2, floats)
    report = QuantizationReport()
    quantized = quantize_weights(program, "int8", weight_num_threshold=0, progress=report)
    assert [record.functions for record in report.records] == [count, count]
    after = Inventory(quantized, 0).counts
    codes = (64 * 48 + 4 * 48) + (48 * 32 + 4 * 32)
    assert (after.weights, after.quantized, after.nbytes) == (0, 2, codes)
    assert [weight.functions for weight in find_quantized(quantized)] == [count, count]
    size = asset_bytes(program.save_asset(tmp_path / "floats.aimodel").path)
    saved = asset_bytes(quantized.save_asset(tmp_path / "codes.aimodel").path)
    assert size > floats
    assert saved < size - floats + codes + 1024 * (count + 1)
    decoded = dequantize_weights(AIModelAsset.load(tmp_path / "codes.aimodel").program)
    counts = Inventory(decoded, 0).counts
    assert (counts.weights, counts.nbytes) == (2, floats)
    back = asset_bytes(decoded.save_asset(tmp_path / "back.aimodel").path)
    assert back < size + 1024 * (count + 1)
    x = {"x": random_weight((1, 64), seed=3)}
    assert np.array_equal(run(quantized, x)["y"], run(decoded, x)["y"])


def test_a_value_that_one_function_adds_is_no_weight_of_another() -> None:
    """The value is stored as long as one function adds it, so quantizing it would add bytes."""
    weight = random_weight((64, 64), seed=1)

    def write() -> None:
        for name, op in (("main", broadcasting_batch_matmul), ("other", broadcasting_add)):
            make_graph(
                lambda x, op=op: (op(x, constant(weight)),),
                {"x": ((64, 64), F32)},
                {"y": ((64, 64), F32)},
                provided_name=name,
            )

    program = make_graphs(write)
    assert find_weights(program, 0) == []
    (other,) = Inventory(program, 0).census.others
    assert other.reason == "also used by coreai.decomposable.broadcasting_add"
    assert other.nbytes == 4 * 64 * 64


def test_a_value_that_is_contracted_along_other_axes_is_another_weight() -> None:
    """Its rows share scales for one matmul, and its columns for the other."""
    square = random_weight((64, 64))

    def body(x: Value) -> Any:
        return (linear(broadcasting_batch_matmul(x, constant(square)), constant(square)),)

    program = make_program(body, {"x": ((4, 64), F32)}, {"y": ((4, 64), F32)})
    first, second = find_weights(program, 1024)
    assert [roles(w.contractions[0].layout) for w in (first, second)] == ["I64 O64", "O64 I64"]
    blocks = [q.block_sizes for q in find_quantized(quantize_weights(program, "int8"))]
    assert blocks == [(64, 1), (1, 64)]


def test_what_clones_share_is_planned_once() -> None:
    one, many = (
        plan_quantization(clones(count), target_bytes=6000, weight_num_threshold=0)
        for count in (1, 8)
    )
    assert one.nbytes == many.nbytes <= 6000
    assert len(one.choices) == len(many.choices) == 2


def sqnr(exact: Any, got: Any) -> float:
    return float(10 * np.log10(np.sum(exact**2) / np.sum((exact - got) ** 2)))


@pytest.mark.parametrize("folded", [True, False], ids=["folded", "not folded"])
def test_experts_are_as_precise_as_matrices_quantized_one_by_one(folded: bool) -> None:
    shape = (1, 4, 64, 96) if folded else (1, 4, 96, 64)
    weight = random_weight(shape, seed=1)
    program = experts_program(weight, folded=folded)
    quantized = quantize_weights(
        program, "int4", granularity="per_block", block_size=32, weight_num_threshold=0
    )
    (found,) = find_quantized(quantized)
    decoded = found.form.read(found.op).dequantize()
    sizes = (32, 1) if folded else (1, 32)
    apart = [quantize_array(one, "int4", block_sizes=sizes).dequantize() for one in weight[0]]
    assert np.array_equal(decoded[0], np.stack(apart))
    assert abs(sqnr(weight, decoded) - 20.3) < 0.2
    inputs = {
        "x": random_weight(EXPERT_X["x"][0], seed=2),
        "chosen": np.array([[0, 1], [3, 2], [1, 3]], np.uint16),
    }
    floats = experts_program(decoded, folded=folded)
    assert np.array_equal(run(quantized, inputs)["y"], run(floats, inputs)["y"])


@pytest.mark.parametrize("transposed", [False, True])
def test_stacked_matrices_are_quantized_along_their_inputs(transposed: bool) -> None:
    shape = (8, 96, 64) if transposed else (8, 64, 96)
    weight = random_weight(shape, seed=1)
    quantized = quantize_weights(
        stack_program(weight, transposed), "int4", granularity="per_block", block_size=32
    )
    (found,) = find_quantized(quantized)
    decoded = found.form.read(found.op).dequantize()
    assert abs(sqnr(weight, decoded) - 20.3) < 0.2
    inputs = {
        "x": random_weight((4, 1, 64), seed=2),
        "rows": np.array([[0], [7], [3], [3]], np.int32),
    }
    floats = stack_program(decoded, transposed)
    assert np.array_equal(run(quantized, inputs)["y"], run(floats, inputs)["y"])


EXPORTED = Path(__file__).parents[2].parent / "shared" / "assets" / "exported"


def exported(name: str) -> AIProgram:
    path = EXPORTED / f"{name}.aimodel"
    if not path.exists():
        pytest.skip(f"the folder of exported programs, {EXPORTED}, is not there")
    return AIModelAsset.load(path).program


@pytest.mark.parametrize(
    ("name", "quantized", "bits"),
    [
        ("qwen3", 17, 4.50),
        ("qwen3_moe_debug", 20, 4.50),
        ("qwen3_ios", 22, 4.76),
        ("op_moe_index", 1, 5.0),
        ("op_moe_index_t", 1, 5.0),
        ("op_index_select", 1, 5.0),
    ],
)
def test_all_weights_of_programs_as_exporters_write_them(
    name: str, quantized: int, bits: float
) -> None:
    program = exported(name)
    assert find_weights(program, 1024)
    got = quantize_weights(program, "int4", granularity="per_block", block_size=32)
    counts = Inventory(got, 1024).counts
    assert (counts.weights, counts.quantized) == (0, quantized)
    assert Inventory(got, 1024).census.bits_per_weight == pytest.approx(bits, abs=0.006)


def test_a_rule_by_layer_finds_the_experts_of_a_debug_export() -> None:
    program = exported("qwen3_moe_debug")
    report = QuantizationReport()
    quantize_weights(
        program,
        "int8",
        overrides=[
            {"name": "*/TransformerBlock.2/*", "dtype": "int4", "granularity": "per_block"},
            {"name": "*/model_layers_2_mlp_switch_mlp_up_proj_*", "keep": True},
        ],
        progress=report,
    )
    became = {record.name: record.format_after for record in report.records}
    layer = [became[name] for name in became if "/TransformerBlock.2/" in name]
    assert layer == ["int4"] * 6
    kept = [name for name in became if became[name] == "float16"]
    assert len(kept) == 1
    assert "/TransformerBlock.3/" in kept[0]
    assert next(iter(became)).split("/")[-2] == "gather_nd:0"  # in order of execution
    assert "/Linear.10/" in list(became)[-1]
    assert all("torch/nn" not in record.location for record in report.records)


@pytest.mark.parametrize(("what", "name", "dtype"), CASES, ids=CASE_NAMES)
def test_bits_per_weight_are_of_all_that_a_form_stores(what: str, name: str, dtype: Any) -> None:
    """Indices, tables, masks and values that are decoded before scales multiply them as well."""
    shapes = shapes_of(dtype)
    program = compress(every_kind(weights_of(dtype, shapes), dtype), what, name)
    inventory = Inventory(program, 0)
    assert len(inventory.quantized) == len(shapes)
    stored = sum(weight.nbytes for weight in inventory.quantized)
    others = sum(other.nbytes for other in inventory.census.others)
    assert inventory.census.nbytes == stored + others
