"""Which of two plans is chosen, by what it does to the outputs."""

from collections.abc import Callable

import numpy as np
import pytest

from coreai_opt import QuantizationPlan, Settings
from coreai_opt.coreai_utils import calibrate, compare_programs, quantize_weights
from coreai_opt.coreai_utils.format_planning import measure_weights
from coreai_opt.planning.choose import Measured, choose_plan
from coreai_opt.planning.plan import Candidate, PlannedWeight

from ..support.programs import layers, random_weight

INT4, INT8 = Settings(dtype="int4"), Settings(dtype="int8")


def weights_of(costs: dict[str, float]) -> list[PlannedWeight]:
    """Return weights of 100 bytes, 10 in INT4 and 20 in INT8, of which INT4 has these costs."""
    return [
        PlannedWeight(
            name,
            (8, 8),
            (
                Candidate(None, 100, np.inf, 0.0),
                Candidate(INT4, 10, 20.0, cost),
                Candidate(INT8, 20, 40.0, cost / 100),
            ),
        )
        for name, cost in costs.items()
    ]


BY_OUTPUTS, BY_WEIGHTS = weights_of({"a": 3.0, "b": 1.0}), weights_of({"a": 1.0, "b": 3.0})


def better_of(plan: QuantizationPlan) -> str:
    """Return the name of the weight that a plan gives INT8."""
    (name,) = (choice.name for choice in plan.choices if choice.rule.dtype == "int8")
    return name


def noise_of(noises: dict[str, float], asked: list[str]) -> Callable[[QuantizationPlan], float]:
    def noise(plan: QuantizationPlan) -> float:
        asked.append(better_of(plan))
        return noises[asked[-1]]

    return noise


@pytest.mark.parametrize("best", ["a", "b"])
def test_of_two_plans_that_with_less_noise_of_the_outputs_is_chosen(best: str) -> None:
    asked: list[str] = []
    noise = noise_of({"a": 2.0, "b": 2.0} | {best: 1.0}, asked)
    measured = Measured(BY_OUTPUTS, BY_WEIGHTS, noise)
    plan = choose_plan(measured, target_bytes=30, min_sqnr=None)
    assert better_of(plan) == best
    assert sorted(asked) == ["a", "b"]
    # What the plan comes to is told by the outputs, whichever it is.
    cost = {"a": 1.03, "b": 3.01}[best]
    assert plan.sqnr_db == pytest.approx(-10 * np.log10(cost))
    assert "SQNR of the outputs, about: -" in str(plan)


def test_progress_tells_of_each_plan_that_is_run() -> None:
    told: list[tuple[str, int, int]] = []
    measured = Measured(BY_OUTPUTS, BY_WEIGHTS, noise_of({"a": 2.0, "b": 1.0}, []))
    tell = lambda what, done, total: told.append((what, done, total))  # noqa: E731  # a line
    choose_plan(measured, target_bytes=30, min_sqnr=None, progress=tell)
    assert told == [("comparing plans", done, 2) for done in range(3)]


def test_a_plan_that_both_ways_lead_to_is_not_run() -> None:
    asked: list[str] = []
    measured = Measured(BY_OUTPUTS, BY_OUTPUTS, noise_of({}, asked))
    assert better_of(choose_plan(measured, target_bytes=30, min_sqnr=None)) == "a"
    assert asked == []


def test_without_inputs_it_is_the_plan_by_the_weights() -> None:
    plan = choose_plan(Measured(BY_WEIGHTS), target_bytes=30, min_sqnr=None)
    assert better_of(plan) == "b"
    assert "SQNR of the weights: -" in str(plan)


def test_with_a_floor_it_is_the_plan_by_the_outputs() -> None:
    measured = Measured(BY_OUTPUTS, BY_WEIGHTS, noise_of({}, []))
    floor = -10 * np.log10(1.5)
    plan = choose_plan(measured, target_bytes=None, min_sqnr=floor)
    assert better_of(plan) == "a"
    assert plan.sqnr_of == "outputs"


def test_a_plan_says_which_tables_there_are() -> None:
    tables = (
        Settings(n_bits=4, granularity="per_grouped_channel", group_size=32),
        Settings(n_bits=3, granularity="per_tensor", scale_block_size=64),
    )
    weights = [
        PlannedWeight(name, (2,), (Candidate(settings, 10, 20.0, 0.1),))
        for name, settings in zip("ab", tables, strict=True)
    ]
    plan = choose_plan(Measured(weights), target_bytes=30, min_sqnr=None)
    assert str(plan).splitlines()[1:] == [
        "     1 tables of 4 bits per_grouped_channel of 32",
        "     1 tables of 3 bits per_tensor, scales of 64",
    ]


@pytest.mark.parametrize("calibrated", [False, True])
def test_noise_of_outputs_is_that_of_the_program_with_the_plan_carried_out(
    calibrated: bool,
) -> None:
    program = layers(random_weight((32, 48)), random_weight((48, 16), seed=1))
    inputs = {"x": random_weight((3, 32), seed=2)}
    given = calibrate(program, [inputs], weight_num_threshold=0) if calibrated else None
    measured = measure_weights(
        program,
        inputs=inputs,
        function=None,
        calibration=given,
        target=None,
        weight_num_threshold=0,
        backend="auto",
        num_threads=1,
        sampled=True,
        progress=None,
    )
    plan = choose_plan(measured, target_bytes=1500, min_sqnr=None)
    assert measured.outputs_noise is not None
    quantized = quantize_weights(
        program, None, overrides=plan.rules, weight_num_threshold=0, calibration=given
    )
    (output,) = compare_programs(program, quantized, inputs)
    noise = measured.outputs_noise(plan)
    assert -10 * np.log10(noise) == pytest.approx(output.sqnr_db)
