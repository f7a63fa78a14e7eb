"""Plans for programs: against every plan there is, carried out, written down and replayed."""

import math
from collections.abc import Mapping
from fractions import Fraction
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import (
    AIProgram,
    Module,
    Value,
    broadcasting_add,
    broadcasting_batch_matmul,
    reshape,
)
from coreai.authoring.constant import constant

from coreai_opt import QuantizationPlan, Rule
from coreai_opt.coreai_utils import (
    compare_programs,
    format_planning,
    plan_quantization,
    quantize_weights,
)
from coreai_opt.planning.knapsack import Option, select
from coreai_opt.program.assets import asset_bytes
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.settings.rules_file import load_rules

from ..support.programs import (
    F32,
    all_stored,
    layers,
    make_graph,
    make_program,
    random_weight,
    text,
    u32,
)

if TYPE_CHECKING:
    from coreai_opt.reports.records import WeightRecord

BLOCKS = {"granularity": "per_block", "block_size": 16}
CANDIDATES: list[dict[str, Any]] = [
    {"dtype": "int2", "observer": "mse", **BLOCKS},
    {"dtype": "int4"},
    {"dtype": "uint4", "qscheme": "asymmetric", **BLOCKS},
    {"dtype": "int8"},
]
LAYERS = ((32, 48), (48, 40), (40, 16))
"""Blocks of 16 do not divide the input channels of the last one."""


def three_layers() -> AIProgram:
    """Weights of which the last has large outliers, so that formats differ in how well they do."""
    weights = [random_weight(shape, seed=seed) for seed, shape in enumerate(LAYERS)]
    weights[2] **= 3
    return layers(*weights)


def plan(program: AIProgram, **options: Any) -> QuantizationPlan:
    options = {"weight_num_threshold": 0, "candidates": CANDIDATES, **options}
    return plan_quantization(program, **options)


class Had(NamedTuple):
    """What quantizing one weight to one candidate took and cost, found without any plan."""

    nbytes: int
    noise: float


def measured() -> list[list[Had]]:
    """Of each weight of ``three_layers`` each candidate that it can have, and first that it stays.

    Noise is relative, and weighed as plans weigh it.
    """
    program = three_layers()
    weights = find_weights(program, 0)
    roots = [math.sqrt(math.prod(shape)) for shape in LAYERS]
    found = [[Had(weight.nbytes, 0.0)] for weight in weights]
    for candidate in CANDIDATES:
        records: list[WeightRecord] = []
        options = {"weight_num_threshold": 0, "progress": records.append, **candidate}
        quantize_weights(program, **options)
        for record, root, haves in zip(records, roots, found, strict=True):
            if record.error is not None:
                noise = record.error.noise / record.error.signal
                haves.append(Had(record.nbytes_after, root / sum(roots) * noise))
    return found


MEASURED = measured()
EVERY = [(sum(h.nbytes for h in p), math.fsum(h.noise for h in p)) for p in product(*MEASURED)]
"""Bytes and noise of every plan."""
SMALLEST, LARGEST = min(EVERY)[0], max(EVERY)[0]


def noise(plan: QuantizationPlan) -> float:
    return 10 ** (-plan.sqnr_db / 10)


def test_a_weight_cannot_have_every_candidate() -> None:
    assert [len(candidates) for candidates in MEASURED] == [5, 5, 3]


@pytest.mark.parametrize("share", [0, 0.1, 0.23, 0.4, 0.55, 0.7, 0.9, 1])
def test_by_size_it_is_within_one_weight_of_the_best(share: float) -> None:
    target = round(SMALLEST + share * (LARGEST - SMALLEST))
    found = plan(three_layers(), target_bytes=target)
    options = [[Option(have.nbytes, have.noise) for have in haves] for haves in MEASURED]
    selection = select(options, target)
    assert found.nbytes <= target
    assert (found.nbytes, pytest.approx(noise(found))) in EVERY
    best = min(noise for nbytes, noise in EVERY if nbytes <= target)
    assert selection.least_cost <= best <= noise(found) * (1 + 1e-12)
    assert noise(found) <= (best + selection.step) * (1 + 1e-12)
    # The step is that of one weight from one of its candidates to another.
    steps = [a.noise - b.noise for haves in MEASURED for a in haves for b in haves]
    assert not selection.step or pytest.approx(selection.step) in steps


@pytest.mark.parametrize("floor", [0, 8, 15, 21.5, 30, 45, 100])
def test_by_sqnr_it_is_within_one_weight_of_the_smallest(floor: float) -> None:
    found = plan(three_layers(), min_sqnr=floor)
    most = 10 ** (-floor / 10)
    selection = select([[Option(h.noise, h.nbytes) for h in haves] for haves in MEASURED], most)
    assert found.sqnr_db >= floor
    smallest = min(nbytes for nbytes, noise in EVERY if noise <= most)
    assert smallest <= found.nbytes <= smallest + selection.step
    steps = [a.nbytes - b.nbytes for haves in MEASURED for a in haves for b in haves]
    assert selection.step in steps


def test_the_frontier_holds_the_best_plans_of_their_sizes() -> None:
    found = plan(three_layers(), target_bytes=LARGEST)
    points = found.frontier
    assert [p.nbytes for p in points] == sorted({p.nbytes for p in points})
    assert (points[0].nbytes, points[-1]) == (SMALLEST, (LARGEST, math.inf))
    for point in points:
        best = min(noise for nbytes, noise in EVERY if nbytes <= point.nbytes)
        assert 10 ** (-point.sqnr_db / 10) == pytest.approx(best)
        again = plan(three_layers(), target_bytes=point.nbytes)
        assert (again.nbytes, again.sqnr_db) == point


@pytest.mark.parametrize("goal", [{"target_bytes": 4000}, {"min_sqnr": 25}], ids=str)
def test_it_is_carried_out_as_it_says(goal: dict[str, Any]) -> None:
    program = three_layers()
    before = text(program)
    found = plan(program, **goal)
    assert text(program) == before
    records: list[WeightRecord] = []
    options: dict[str, Any] = {"weight_num_threshold": 0, "progress": records.append}
    quantized = quantize_weights(program, None, overrides=found.rules, **options)
    assert len(found.choices) == len(LAYERS)
    for choice, record in zip(found.choices, records, strict=True):
        assert (choice.name, choice.shape) == (record.name, record.shape)
        assert choice.nbytes == record.nbytes_after
        assert choice.sqnr_db == (record.error.sqnr_db if record.error else math.inf)
    assert found.nbytes == sum(record.nbytes_after for record in records)
    # Whatever the settings of the call are, a plan's rules give the same.
    others = {"qscheme": "asymmetric", "observer": "mse", "indivisible": "fit", "block_size": 8}
    other = quantize_weights(
        program,
        "uint8",
        overrides=found.rules,
        weight_num_threshold=0,
        granularity="per_block",
        **others,
    )
    assert all_stored(other) == all_stored(quantized)


def test_a_plan_is_a_file_to_edit_and_replay(tmp_path: Path) -> None:
    program = three_layers()
    found = plan(program, min_sqnr=20)
    path = tmp_path / "plan.toml"
    path.write_text(found.to_toml(), "utf-8")
    assert load_rules(path) == found.rules
    first = found.choices[0]
    lines = found.to_toml().splitlines()
    totals = f"# 3 weights, {found.nbytes:,} bytes, SQNR of the weights: {found.sqnr_db:.1f} dB"
    assert lines[0] == totals
    of_one = f"# 32x48: {first.nbytes:,} bytes, SQNR of the weight: {first.sqnr_db:.1f} dB"
    assert of_one in lines

    edited = found.to_toml() + f'\n[[rule]]\nname = "{first.name}"\nkeep = true\n'
    path.write_text(edited, "utf-8")
    again = quantize_weights(program, None, overrides=load_rules(path), weight_num_threshold=0)
    assert first.name in [weight.name for weight in find_weights(again, 0)]
    assert len(find_quantized(again)) == 2


def test_in_one_thread_or_two_and_checked_by_the_reference_it_is_the_same_plan() -> None:
    found = [
        plan(three_layers(), target_bytes=4000, **options)
        for options in ({}, {"num_threads": 1}, {"num_threads": 2}, {"backend": "validate"})
    ]
    assert found[1:] == found[:-1]


def test_weights_up_to_the_threshold_are_not_planned() -> None:
    found = plan(three_layers(), min_sqnr=20, weight_num_threshold=40 * 16)
    assert [choice.shape for choice in found.choices] == list(LAYERS[:2])


def test_a_program_without_weights_has_an_empty_plan() -> None:
    program = three_layers()
    found = plan(program, target_bytes=0, weight_num_threshold=10**6)
    assert (found.choices, found.nbytes, found.sqnr_db) == ((), 0, math.inf)
    quantized = quantize_weights(program, None, overrides=found.rules, weight_num_threshold=0)
    assert text(quantized) == text(program)


def saved_bytes(program: AIProgram) -> int:
    with TemporaryDirectory() as folder:
        path = Path(folder, "program.aimodel")
        program.save_asset(path)
        return asset_bytes(path)


def test_identical_weights_are_one_as_they_are_in_a_file() -> None:
    same, other = random_weight((64, 64)), random_weight((64, 64), seed=1)
    program = layers(same, other, same, same)
    one, two = 64 * 64 // 2 + 64 * 4, 64 * 64 * 4  # in INT4, and as it is
    found = plan(program, target_bytes=one + two, candidates=[{"dtype": "int4"}])
    assert sorted(choice.rule.keep for choice in found.choices) == [False, True]
    assert found.nbytes == one + two
    quantized = quantize_weights(program, None, overrides=found.rules, weight_num_threshold=0)
    saved = saved_bytes(program) - saved_bytes(quantized)
    assert two - one - 256 < saved <= two - one


def test_identical_weights_that_are_read_along_other_axes_are_two() -> None:
    """Per block they are quantized to other bytes, of which a file has both."""
    same = random_weight((64, 64))

    def body(x: Value) -> Any:
        x = broadcasting_batch_matmul(x, constant(same))
        return (broadcasting_batch_matmul(constant(same), x),)

    program = make_program(body, {"x": ((64, 64), F32)}, {"y": ((64, 64), F32)})
    candidates = [{"dtype": "int8", **BLOCKS}]
    found = plan(program, min_sqnr=1, candidates=candidates)
    assert found.nbytes == 2 * 64 * (64 + 4 * 4)


def test_a_weight_of_one_value_takes_no_room_as_it_is() -> None:
    found = plan(layers(np.zeros((64, 64), np.float32)), target_bytes=0)
    assert (found.choices, found.nbytes) == ((), 0)


def test_a_weight_that_is_not_finite_is_kept() -> None:
    broken = random_weight((64, 64))
    broken[3, 4] = np.inf
    program = layers(random_weight((64, 64), seed=1), broken)
    for inputs in (None, {"x": np.zeros((3, 64), np.float32)}):
        if inputs is None:
            found = plan(program, min_sqnr=10)
            assert [choice.rule.keep for choice in found.choices] == [False, True]
        else:
            with pytest.raises(
                ValueError, match="the program's outputs on inputs hold a NaN or infinity"
            ):
                plan(program, min_sqnr=10, inputs=inputs)


def loud_and_quiet() -> AIProgram:
    """``y = x @ loud + x @ quiet``, where the second is a thousand times smaller."""
    loud, quiet = random_weight((32, 32)), random_weight((32, 32), seed=1) / 1000

    def body(x: Value) -> Any:
        sums = [broadcasting_batch_matmul(x, constant(weight)) for weight in (loud, quiet)]
        return (broadcasting_add(*sums),)

    return make_program(body, {"x": ((3, 32), F32)}, {"y": ((3, 32), F32)})


def test_with_inputs_a_weight_counts_by_what_it_does_to_the_outputs() -> None:
    program, x = loud_and_quiet(), random_weight((3, 32), seed=2)
    candidates = [{"dtype": "int2", "observer": "mse"}, {"dtype": "int8"}]
    target = (32 * 32 // 4 + 128) + (32 * 32 + 128)
    found = plan(program, target_bytes=target, candidates=candidates, inputs={"x": x})
    assert [choice.rule.dtype for choice in found.choices] == ["int8", "int2"]
    # The plan's SQNR is that of the outputs, about.
    quantized = quantize_weights(program, None, overrides=found.rules, weight_num_threshold=0)
    (y,) = compare_programs(program, quantized, {"x": x})
    assert abs(y.sqnr_db - found.sqnr_db) < 2
    # Without inputs the two are alike, in size and in errors.
    alike = plan(program, target_bytes=LARGEST, candidates=candidates).frontier
    assert alike[0].sqnr_db < found.sqnr_db - 20


def test_identical_weights_count_together_by_what_they_do_to_the_outputs() -> None:
    """A file has their bytes once, so all of them are quantized or none."""
    same, x = random_weight((32, 32)), random_weight((3, 32), seed=2)

    def body(x: Value) -> Any:
        sums = [broadcasting_batch_matmul(x, constant(same)) for _ in range(2)]
        return (broadcasting_add(*sums),)

    program = make_program(body, {"x": ((3, 32), F32)}, {"y": ((3, 32), F32)})
    found = plan(program, target_bytes=32 * 32 + 128, candidates=CANDIDATES[3:], inputs={"x": x})
    assert not any(choice.rule.keep for choice in found.choices)
    quantized = quantize_weights(program, None, overrides=found.rules, weight_num_threshold=0)
    (y,) = compare_programs(program, quantized, {"x": x})
    assert abs(y.sqnr_db - found.sqnr_db) < 1.5  # 3 if the errors of one counted, or half of two


@pytest.mark.parametrize("inputs", [False, True])
def test_numbers_of_other_dtypes_with_identical_bits_are_two(inputs: bool) -> None:
    bits = np.random.default_rng(0).integers(0x3800, 0x3C00, (64, 64)).astype(np.uint16)
    weights = [bits.view(dtype) for dtype in (np.float16, ml_dtypes.bfloat16)]

    def body(x: Value, y: Value) -> Any:
        return tuple(
            broadcasting_batch_matmul(v, constant(w)) for v, w in zip((x, y), weights, strict=True)
        )

    takes, gives = (
        {name: ((3, 64), weight.dtype) for name, weight in zip(names, weights, strict=True)}
        for names in ("xy", "ab")
    )
    program = make_program(body, takes, gives)
    values = {name: np.ones((3, 64), dtype) for name, (_, dtype) in takes.items()}
    found = plan(program, min_sqnr=5, candidates=CANDIDATES[3:], inputs=values if inputs else None)
    assert found.nbytes == 2 * (64 * 64 + 64 * 2)


def test_inputs_may_hold_several_samples() -> None:
    program, x = loud_and_quiet(), random_weight((2, 3, 32), seed=2)
    one, same, two = (
        plan(program, min_sqnr=30, inputs={"x": inputs})
        for inputs in (x[0], np.stack([x[0], x[0]]), x)
    )
    assert one.sqnr_db == pytest.approx(same.sqnr_db)
    assert one.sqnr_db != pytest.approx(two.sqnr_db)


def test_a_weight_that_int4_holds_exactly_is_probed_more_coarsely() -> None:
    """Or its error in two bits would count for nothing."""
    weight = np.random.default_rng(0).integers(-7, 8, (32, 32)).astype(np.float32)
    weight[0] = 7
    inputs = {"x": random_weight((3, 32))}
    found = plan(layers(weight), min_sqnr=30, candidates=CANDIDATES[:2], inputs=inputs)
    assert [choice.rule.dtype for choice in found.choices] == ["int4"]
    assert found.sqnr_db == math.inf


def test_weights_that_inputs_do_not_reach_count_by_their_own_errors() -> None:
    """That nothing is seen of them does not say that they do not matter on other inputs."""
    found = plan(loud_and_quiet(), min_sqnr=20, inputs={"x": np.zeros((3, 32), np.float32)})
    by_weights = plan(loud_and_quiet(), min_sqnr=20)
    assert found.choices == by_weights.choices
    assert found.sqnr_db == by_weights.sqnr_db


def test_weights_of_other_functions_count_by_their_own_errors() -> None:
    module = Module.create()
    with module._block_context():
        for seed, name in enumerate(("one", "two")):
            make_graph(
                lambda x, seed=seed: (
                    broadcasting_batch_matmul(x, constant(random_weight((64, 64), seed=seed))),
                ),
                {"x": ((3, 64), F32)},
                {"y": ((3, 64), F32)},
                provided_name=name,
            )
    program, x = AIProgram(module), {"x": random_weight((3, 64), seed=9)}
    found = plan(program, min_sqnr=30, inputs=x, function="one")
    quantized = quantize_weights(program, None, overrides=found.rules, weight_num_threshold=0)
    reached = [
        compare_programs(program, quantized, x, function=f)[0].sqnr_db for f in ("one", "two")
    ]
    assert min(reached) > 28


def columns(*, dtype: Any) -> AIProgram:
    """A weight with a single input channel, which is exact per channel, and one of many."""
    return layers(random_weight((1, 2048), dtype), random_weight((2048, 64), dtype, seed=1))


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize("forms", [["integer"], ["table"], None], ids=str)
def test_a_weight_of_one_input_channel_counts(
    dtype: Any, forms: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Per channel it is exact and grows, so it is probed with one scale for all of it."""
    program = columns(dtype=dtype)
    x = {"x": random_weight((3, 1), dtype, seed=2)}
    options: dict[str, Any] = {"forms": forms, "candidates": format_planning.CANDIDATES}
    if forms is None:
        options["candidates"] = [
            {"dtype": name, "granularity": "per_tensor"} for name in ("int2", "int8")
        ]
    found = plan(program, min_sqnr=20, inputs=x, **options)
    assert caplog.records == []
    quantized = quantize_weights(program, None, overrides=found.rules, weight_num_threshold=0)
    (y,) = compare_programs(program, quantized, x)
    assert y.sqnr_db > 18
    assert found.sqnr_db - y.sqnr_db < 5  # an estimate; without such a probe one of 36 dB too many


def test_a_weight_that_is_exact_in_all_probes_counts_by_its_own_error() -> None:
    """Multiples of one number in channels of one element; two bits do not hold them together."""
    weight = np.random.default_rng(0).integers(-7, 8, (1, 2048)).astype(np.float32)
    weight[0, 0] = 7
    program = layers(weight, random_weight((2048, 64), seed=1))
    candidates = [{"dtype": name, "granularity": "per_tensor"} for name in ("int2", "int4")]
    inputs = {"x": random_weight((3, 1), seed=2)}
    found = plan(program, min_sqnr=30, candidates=candidates, inputs=inputs)
    assert found.choices[0].rule.dtype == "int4"


def test_a_weight_whose_channels_are_mixed_counts() -> None:
    """It has no scales per channel, so it is probed with one for all of it."""

    def body(x: Value) -> Any:
        cut = reshape(constant(random_weight((32, 96))), u32(48, 64))
        return (broadcasting_batch_matmul(x, cut),)

    x = random_weight((3, 48), seed=2)
    program = make_program(body, {"x": ((3, 48), F32)}, {"y": ((3, 64), F32)})
    (weight,) = find_weights(program, 0)
    assert weight.mixed
    candidates = [{"dtype": name, "granularity": "per_tensor"} for name in ("int2", "int8")]
    found = plan(program, min_sqnr=20, candidates=candidates, inputs={"x": x})
    assert [choice.rule.dtype for choice in found.choices] == ["int8"]


def test_outputs_that_overflow_when_a_weight_is_quantized() -> None:
    """65,000 in float16; in INT4 the 6.6 becomes 7, and the output 68,936."""
    weight = np.full((32, 32), 0.5, np.float16)
    weight[0], weight[1] = 6.6, 7
    x = np.zeros((3, 32), np.float16)
    x[:, 0] = 9848
    with pytest.raises(ValueError, match=r"when main/.* is quantized, .*: give other inputs"):
        plan(layers(weight), min_sqnr=10, inputs={"x": x})


def test_without_candidates_everything_is_kept() -> None:
    found = plan(three_layers(), target_bytes=LARGEST, candidates=[])
    assert [choice.rule for choice in found.choices] == [
        Rule(name=choice.name, keep=True) for choice in found.choices
    ]


FLOOR = r"min_sqnr must be a number of dB, finite and >= 0; got"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({}, ValueError, r"one of target_bytes and min_sqnr must be given, and not both"),
        ({"target_bytes": 1, "min_sqnr": 2}, ValueError, r"one of target_bytes and min_sqnr"),
        ({"target_bytes": 1.5}, TypeError, r"target_bytes must be an int >= 0"),
        ({"target_bytes": -1}, ValueError, r"target_bytes must be"),
        ({"target_bytes": 500}, ValueError, f"500 cannot be reached: .* least {SMALLEST:,} bytes$"),
        (
            {"min_sqnr": 20j},
            TypeError,
            f"{FLOOR} 20j",
        ),
        (
            {"min_sqnr": "20"},
            TypeError,
            f"{FLOOR} '20'",
        ),
        (
            {"min_sqnr": True},
            TypeError,
            f"{FLOOR} True",
        ),
        (
            {"min_sqnr": math.nan},
            ValueError,
            f"{FLOOR} nan",
        ),
        (
            {"min_sqnr": math.inf},
            ValueError,
            f"{FLOOR} inf",
        ),
        (
            {"min_sqnr": -1e5},
            ValueError,
            f"{FLOOR} -1",
        ),
        ({"min_sqnr": 9, "candidates": "int4"}, TypeError, r"candidates must be a sequence of"),
        ({"min_sqnr": 9, "candidates": ["int4"]}, TypeError, r"candidate 1 must be a mapping of"),
        (
            {"min_sqnr": 9, "candidates": [{"dtype": "int4"}, {"qscheme": "symmetric"}]},
            ValueError,
            r"candidate 2 has no dtype and no n_bits; keys are dtype, qscheme",
        ),
        (
            {"min_sqnr": 9, "candidates": [{"dtype": "int4", "bits": 4}]},
            ValueError,
            r"candidate 1 has the unknown key 'bits'",
        ),
        (
            {"min_sqnr": 9, "candidates": [{"dtype": "int3"}]},
            ValueError,
            r"candidate 1: Unsupported weight dtype 'int3'",
        ),
        ({"min_sqnr": 9, "weight_num_threshold": -1}, ValueError, r"weight_num_threshold must be"),
        ({"min_sqnr": 9, "num_threads": 0}, ValueError, r"num_threads must be"),
        ({"min_sqnr": 9, "backend": "gpu"}, ValueError, r"backend"),
        ({"min_sqnr": 9, "inputs": {"z": np.ones(3)}}, ValueError, r"has no input 'z'; the pro"),
        ({"target_bytes": 9, "calibration": 1}, ValueError, r"calibration needs inputs and target"),
        ({"min_sqnr": 9, "inputs": {}, "calibration": 1}, ValueError, r"calibration needs inputs"),
        (
            {"target_bytes": 9, "inputs": {}, "calibration": "m.calibration"},
            TypeError,
            r"calibration must be a Calibration or None; got str",
        ),
    ],
    ids=str,
)
def test_bad_arguments_are_named(
    options: Mapping[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan(three_layers(), **options)


@pytest.mark.parametrize("number", [20, np.float32(20), np.float16(20), np.int64(20), Fraction(20)])
def test_a_floor_is_any_real_number(number: Any) -> None:
    found = plan(three_layers(), min_sqnr=number)
    assert found == plan(three_layers(), min_sqnr=20.0)


def test_a_floor_of_hundreds_of_digits_is_refused_by_name() -> None:
    """No float is near to it."""
    with pytest.raises(ValueError, match=f"{FLOOR} 1"):
        plan(three_layers(), min_sqnr=10**400)


def test_a_size_is_any_whole_number() -> None:
    found = plan(three_layers(), target_bytes=np.uint16(4000))
    assert found == plan(three_layers(), target_bytes=4000)


def test_what_is_no_program_is_refused() -> None:
    with pytest.raises(TypeError, match=r"^coreai_program must be a coreai\.authoring\.AIProgram"):
        plan_quantization(None, min_sqnr=20)  # type: ignore[arg-type]  # the error to test
