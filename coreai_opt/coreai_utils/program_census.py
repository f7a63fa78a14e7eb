"""``take_census``: what the float constants of a Core AI program are, weights and others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.settings.arguments import parse_int

if TYPE_CHECKING:
    from coreai_opt.program.ir import AIProgram
    from coreai_opt.reports.records import Census


def take_census(program: AIProgram, weight_num_threshold: int = 1024) -> Census:
    """Say what the float constants of a program are that are neither weights nor quantized.

    Reports list them where they are given to them: ``report.census = take_census(quantized)``.

    Args:
        program: the program, before or after its weights are quantized; it is not changed.
        weight_num_threshold: only constants with more elements than this are weights.

    Returns:
        the constants that are no weights, the largest first, with what uses them and the reason;
        and the bits per weight of all float constants together.

    Raises:
        ValueError, TypeError: a bad argument, named.
        ImportError: Core AI is not there.
        RuntimeError: another thread is at work on ``program``.
    """
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)

    from coreai_opt.program import ir  # noqa: PLC0415  # imports Core AI: half a second
    from coreai_opt.program.exclusive import alone_with  # noqa: PLC0415  # imports Core AI
    from coreai_opt.program.inventory import Inventory  # noqa: PLC0415  # imports Core AI

    ir.check_program(program, "program")
    with alone_with(program):
        return Inventory(program, threshold).census
