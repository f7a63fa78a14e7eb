"""Choose a plan: with inputs, the one of two that leaves the outputs nearer."""

from collections.abc import Callable
from typing import Literal, NamedTuple

from coreai_opt.planning.plan import PlannedWeight, QuantizationPlan, make_plan

__all__ = ["Measured", "choose_plan"]


class Measured(NamedTuple):
    """What plans are chosen from.

    Attributes:
        weights: the weights, and what each of their candidates takes and costs.
        by_weights: the same, if these costs are what happens to outputs, with those that are the
            errors of weights; else None.
        outputs_noise: carries out a plan and runs it, and returns noise / signal of the outputs;
            None without anything to run it on.
    """

    weights: list[PlannedWeight]
    by_weights: list[PlannedWeight] | None = None
    outputs_noise: Callable[[QuantizationPlan], float] | None = None

    @property
    def costs_of(self) -> Literal["weights", "outputs"]:
        """What the costs of ``weights`` are the noise / signal of."""
        return "weights" if self.by_weights is None else "outputs"


def choose_plan(
    measured: Measured,
    *,
    target_bytes: int | None,
    min_sqnr: float | None,
    progress: Callable[[str, int, int], None] | None = None,
) -> QuantizationPlan:
    """Choose a candidate for each weight, see ``make_plan``.

    What a weight's error does to the outputs is measured with one format, and is an estimate for
    others: of networks with few weights a plan by it is as often worse as it is better. So with
    ``target_bytes`` a second plan is made by the errors of the weights, and both are run.

    Args:
        measured: what there is to choose from.
        target_bytes, min_sqnr: the goal.
        progress: called before and after each plan that is run with what is done, how many were
            run, and of how many.

    Raises:
        ValueError: there is no such plan; the message says how far it can go.
    """
    plan = make_plan(
        measured.weights,
        target_bytes=target_bytes,
        min_sqnr=min_sqnr,
        sqnr_of=measured.costs_of,
    )
    if measured.outputs_noise is None or target_bytes is None:
        return plan
    other = make_plan(
        measured.weights,
        target_bytes=target_bytes,
        min_sqnr=None,
        sqnr_of=measured.costs_of,
        costs=measured.by_weights,
    )
    if other.rules == plan.rules:
        return plan
    plans, noises = (plan, other), []
    for done, one in enumerate(plans):
        _tell(progress, done, len(plans))
        noises.append(measured.outputs_noise(one))
    _tell(progress, len(plans), len(plans))
    return plans[noises.index(min(noises))]


def _tell(progress: Callable[[str, int, int], None] | None, done: int, total: int) -> None:
    if progress is not None:
        progress("comparing plans", done, total)
