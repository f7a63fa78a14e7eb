"""Jobs: each weight of a program with its settings, which are those of the call or of a rule."""

import difflib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.exceptions import InputError
from coreai_opt.program.calibrated import Seen
from coreai_opt.program.importance_by_name import match_importance
from coreai_opt.program.weights import Weight
from coreai_opt.settings.checked import AnySettings, CheckedSettings
from coreai_opt.settings.enums import Rounding
from coreai_opt.settings.rules import ParsedRule, Rule, around, matches


class Job(NamedTuple):
    """A weight and what is to become of it.

    Attributes:
        weight: the weight.
        settings: what to turn it into; None keeps it.
        rules: numbers of the rules that match it, from 1; the last one says what its settings are.
        importance: what squared errors count, in the rank of the weight; None for all alike.
        seen: what a calibration has seen of it, if it is to be rounded with feedback.
    """

    weight: Weight
    settings: AnySettings | None
    rules: tuple[int, ...] = ()
    importance: npt.NDArray[np.float32] | None = None
    seen: Seen | None = None

    def why_kept(self) -> str:
        """Return which rule or argument says that the weight is kept."""
        return f"rule {self.rules[-1]} keeps it" if self.rules else "no rule matches it"


def make_jobs(
    weights: Sequence[Weight],
    settings: AnySettings | None,
    rules: Sequence[ParsedRule],
    importance: object,
    seen: Mapping[str, Seen],
) -> list[Job]:
    """Return the jobs that arguments of ``quantize_weights`` ask for, in the order of ``weights``.

    Args:
        weights: the weights of a program.
        settings: of weights that no rule matches; None keeps them.
        rules: the rules.
        importance: the argument.
        seen: what a calibration has seen of weights, by name.

    Raises:
        ArgumentTypeError, InputError: ``importance`` does not fit the weights, or a rule matches
            none.
    """
    jobs = [Job(weight, settings) for weight in weights]
    if rules:
        jobs = [_apply(rules, job) for job in jobs]
        _check_all_match(rules, jobs)
    if importance is not None:
        found = match_importance(importance, weights)
        jobs = [
            job._replace(importance=found.get(job.weight.name))
            if job.settings is not None and job.settings.uses_importance
            else job
            for job in jobs
        ]
    if seen:
        jobs = [
            job._replace(seen=seen.get(job.weight.name))
            if isinstance(job.settings, CheckedSettings)
            and job.settings.rounding is not Rounding.NEAREST
            else job
            for job in jobs
        ]
    return jobs


def _apply(rules: Sequence[ParsedRule], job: Job) -> Job:
    weight = job.weight
    matching = tuple(
        number
        for number, rule in enumerate(rules, 1)
        if rule.matches(weight.name, weight.consumer_ops, weight.shape)
    )
    if not matching:
        return job
    return job._replace(settings=rules[matching[-1] - 1].settings, rules=matching)


def _check_all_match(rules: Sequence[ParsedRule], jobs: Sequence[Job]) -> None:
    """Raise ValueError for the first rule that matches no weight."""
    used = {number for job in jobs for number in job.rules}
    for number, (rule, _) in enumerate(rules, 1):
        if number not in used:
            raise InputError(f"rule {number} matches no weight{_near(rule, jobs)}")


def _near(rule: Rule, jobs: Sequence[Job]) -> str:
    """Names, consumers and shapes near those that a rule looks for, in words."""
    parts = []
    if rule.name is not None:
        names = [job.weight.name for job in jobs]
        parts.append(_nearest("name", rule.name, names) + _of_part("name", rule.name, names))
    if rule.consumer is not None:
        ops = sorted({op for job in jobs for op in job.weight.consumer_ops})
        parts.append(_nearest("consumer", rule.consumer, ops))
        parts.append(_of_part("consumer", rule.consumer, ops))
    if rule.shape is not None:
        shapes = dict.fromkeys(str(job.weight.shape) for job in jobs)
        parts.append(_nearest("shape", str(rule.shape), list(shapes)))
    return "".join(parts)


def _nearest(what: str, pattern: str, those: list[str]) -> str:
    near = difflib.get_close_matches(pattern, those, cutoff=0)
    return f"; {what} {pattern!r} is nearest to {', '.join(map(repr, near)) or 'nothing'}"


def _of_part(what: str, pattern: str, those: list[str]) -> str:
    """Return a hint where a pattern matches only part of a name: it has to match all of it."""
    wider = around(pattern)
    if wider is None or not any(matches(wider, text) for text in those):
        return ""
    return f", of which it matches parts: {wider!r} would match whole {what}s"
