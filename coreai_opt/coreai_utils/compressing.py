"""What the functions that compress the weights of a program share."""

from __future__ import annotations

import copy
from functools import partial
from typing import TYPE_CHECKING

from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.exceptions import ArgumentTypeError
from coreai_opt.reports.records import WithoutErrors
from coreai_opt.settings.arguments import parse_int, parse_member
from coreai_opt.settings.targets import Target, check_target

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from coreai_opt.program.ir import AIModelAsset, AIProgram
    from coreai_opt.program.quantize import LookUp
    from coreai_opt.reports.records import WeightRecord
    from coreai_opt.settings.checked import AnySettings
    from coreai_opt.settings.rules import ParsedRule


def compress_weights(
    coreai_program: AIProgram | AIModelAsset,
    settings: AnySettings | None,
    rules: Sequence[ParsedRule],
    *,
    weight_num_threshold: int,
    in_place: bool,
    target: object,
    importance: object,
    look_up: LookUp | None,
    backend: str,
    num_threads: int | None,
    progress: Callable[[WeightRecord], None] | None,
) -> AIProgram:
    """Compress the weights of a program.

    Arguments, result and errors are those of ``quantize_weights``, except:

    Args:
        settings: what weights become that no rule matches; None keeps them.
        rules: settings for some of them.
        look_up: what a calibration has seen of the weights; None if there is none.
    """
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)
    if target is not None:
        check_target(parse_member(Target, "target", target), settings, rules)
    run, threads = parse_backend(backend), parse_num_threads(num_threads)

    from coreai_opt.program import ir, quantize  # noqa: PLC0415  # imports Core AI: half a second

    if isinstance(coreai_program, ir.AIModelAsset):
        program = coreai_program.program
    else:
        ir.check_program(coreai_program)
        program = coreai_program if in_place else copy.deepcopy(coreai_program)
    quantize.quantize_program(
        program,
        threshold,
        settings,
        rules,
        importance,
        look_up=look_up,
        work=quantize.Work(run, threads, measure=_reads_errors(progress)),
        progress=progress,
    )
    return program


def _reads_errors(progress: object) -> bool:
    return progress is not None and not isinstance(progress, WithoutErrors)


def parse_calibration(calibration: object) -> LookUp | None:
    """Return what looks weights up in the argument ``calibration``; None if there is none.

    Raises:
        ArgumentTypeError: it is something else.
    """
    if calibration is None:
        return None
    if not isinstance(calibration, Calibration):
        raise ArgumentTypeError(
            "calibration",
            f"calibration must be a Calibration or None; got {type(calibration).__name__}",
        )
    from coreai_opt.calibration.seen import seen_weights  # noqa: PLC0415  # imports Core AI

    return partial(seen_weights, calibration)


def checked_among(settings: AnySettings | None, rules: Sequence[ParsedRule]) -> list[AnySettings]:
    """Return the settings of a call and of its rules that are not None."""
    return [one for one in (settings, *(rule.settings for rule in rules)) if one is not None]
