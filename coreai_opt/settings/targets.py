"""Settings that are reported not to work on a target: one table, with its sources.

Reports cannot be tried without an Apple device, and Core AI is a beta: a report may be out of date
by the next release. So the table is short and easy to change, and nothing is refused unless a
target is named.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeGuard

from coreai_opt.exceptions import Argument, ArgumentError, Value
from coreai_opt.settings.checked import AnySettings, CheckedSettings
from coreai_opt.settings.enums import CompressionGranularity, DType, Spelled
from coreai_opt.settings.rules import ParsedRule
from coreai_opt.settings.settings import Settings
from coreai_opt.settings.tables import TableSettings

__all__ = [
    "REPORTS",
    "Report",
    "Target",
    "TargetName",
    "check_target",
    "in_words",
    "report_against",
]


class Target(Spelled):
    """What a program will run on."""

    GPU = "gpu"
    NEURAL_ENGINE = "neural-engine"
    CPU = "cpu"


TargetName: TypeAlias = Literal["gpu", "neural-engine", "cpu"]


@dataclass(frozen=True)
class Report:
    """Something that is reported not to work.

    Attributes:
        target: where.
        what: which settings, in words.
        happens: what happens to them.
        instead: settings of which nothing bad is reported there.
        source: who says so.
        date: when, as YYYY-MM-DD.
        concerns: whether settings are among those.
    """

    target: Target
    what: str
    happens: str
    instead: Settings
    source: str
    date: str
    concerns: Callable[[AnySettings], bool]


def _is_integer_per_block(settings: AnySettings) -> bool:
    return _is_integer(settings) and settings.granularity is CompressionGranularity.PER_BLOCK


def _is_4_bit_integer(settings: AnySettings) -> bool:
    return _is_integer(settings) and settings.spec.format.bits == 4


def _is_8_bit_integer_per_channel(settings: AnySettings) -> bool:
    return (
        _is_integer(settings)
        and settings.spec.format.bits == 8
        and settings.granularity is CompressionGranularity.PER_CHANNEL
    )


def _is_integer(settings: AnySettings) -> TypeGuard[CheckedSettings]:
    return isinstance(settings, CheckedSettings) and settings.spec.format.is_int


def _is_table_with_block_scales(settings: AnySettings) -> bool:
    return isinstance(settings, TableSettings) and settings.scale_block_size > 0


REPORTS = (
    Report(
        Target.NEURAL_ENGINE,
        "integers of 4 bits",
        "the program does not compile for the Neural Engine, and runs elsewhere without a word",
        Settings(dtype=DType.INT8, granularity=CompressionGranularity.PER_CHANNEL),
        "apple/coreai-models#205, following #55",
        "2026-08-27",
        _is_4_bit_integer,
    ),
    Report(
        Target.NEURAL_ENGINE,
        "integers per_block",
        "outputs are wrong without a word (8 bits: cosine 0.367)",
        Settings(dtype=DType.INT8, granularity=CompressionGranularity.PER_CHANNEL),
        "apple/coreai-models#279",
        "2026-09-22",
        _is_integer_per_block,
    ),
    Report(
        Target.NEURAL_ENGINE,
        "look-up tables with a scale per block of input channels",
        "convolutions take the first scales, one after the other, for those of output channels",
        Settings(n_bits=4, granularity=CompressionGranularity.PER_GROUPED_CHANNEL, group_size=32),
        "apple/coreai-torch#93",
        "2026-09-12",
        _is_table_with_block_scales,
    ),
    Report(
        Target.GPU,
        "integers of 8 bits per_channel",
        "matmuls are wrong on a beta of macOS 27",
        Settings(dtype=DType.INT8, granularity=CompressionGranularity.PER_BLOCK, block_size=32),
        "users of a beta of macOS 27",
        "2026-11-28",
        _is_8_bit_integer_per_channel,
    ),
)
"""Of the CPU, on which everything that is written here was run, there are none."""


def in_words(settings: Settings) -> str:
    """Return what settings say, e.g. ``dtype int8, granularity per_channel``."""
    return ", ".join(f"{name} {value}" for name, value in settings.said().items())


def report_against(settings: AnySettings, target: Target | None) -> Report | None:
    """Return the first report that these settings do not work on a target; None for none."""
    of_target = (report for report in REPORTS if report.target is target)
    return next((report for report in of_target if report.concerns(settings)), None)


def check_target(
    target: Target | None, settings: AnySettings | None, rules: Sequence[ParsedRule]
) -> None:
    """Raise ArgumentError where settings, or those of a rule, are reported not to work on a target.

    Args:
        target: the target; None for any.
        settings: those of the call; None for none.
        rules: the rules.
    """
    _check(target, settings)
    for number, rule in enumerate(rules, 1):
        try:
            _check(target, rule.settings)
        except ArgumentError as error:
            raise error.within(f"rule {number}") from None


def _check(target: Target | None, settings: AnySettings | None) -> None:
    report = None if settings is None else report_against(settings, target)
    if report is None:
        return
    raise ArgumentError(
        "target",
        Argument("target", Value(report.target, repr(report.target.value))),
        f": {report.what} are reported not to work there ({report.happens}; {report.source}, "
        f"{report.date}): take {in_words(report.instead)}, or name no target",
    )
