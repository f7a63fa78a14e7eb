"""Budgets: formats that are chosen for the size of a file, or for a quality."""

import argparse
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple, Self

from coreai_opt.cli.console import print_frontier, stdout, steps_bar
from coreai_opt.cli.parser import UsageError, choice_of, option_of, parse_decibels
from coreai_opt.cli.writing import check_file
from coreai_opt.exceptions import InputError
from coreai_opt.planning.choose import Measured, choose_plan
from coreai_opt.planning.plan import parse_goal
from coreai_opt.program.assets import asset_bytes, write_text
from coreai_opt.reports.circumstances import Planned
from coreai_opt.settings.enums import CandidateForm
from coreai_opt.settings.rules import Rule
from coreai_opt.settings.settings import Settings

IR_BYTES = 256
"""More than the ops and types of a quantized weight take in a file: 35 to 165 in programs of 1 to
200 weights. One weight's are reserved for what Core AI adds to an asset's metadata."""


def add_budget(group: argparse._ArgumentGroup) -> None:
    """Add the options that choose a format for each weight."""
    group.add_argument(
        "--target-size",
        type=_size,
        metavar="SIZE",
        help="OUT takes at most SIZE, such as 25MB, 24MiB, 25000000 bytes or 50%% of IN, and the "
        "weights' error is as small as may be; prints what else there is to choose from",
    )
    group.add_argument(
        "--min-sqnr",
        type=parse_decibels,
        metavar="DB",
        help="the weights together have at least this SQNR, or with --inputs the outputs, about, "
        "and OUT is as small as may be",
    )
    group.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input of IN, by name, or of several samples: a weight's error "
        "counts by what it does to the outputs then, unless a plan by the weights' own errors "
        "leaves these outputs nearer; the result is run on it, as by --verify",
    )
    group.add_argument(
        "--forms",
        type=_forms,
        metavar="LIST",
        help=f"which forms are chosen among: {', '.join(CandidateForm)} or both with a comma "
        f"(default: {CandidateForm.INTEGER})",
    )
    group.add_argument(
        "--plan-out",
        type=Path,
        metavar="FILE.toml",
        help="where to write what was chosen; --rules reads it",
    )


_UNITS = {
    "B": 1,
    "KB": 10**3,
    "MB": 10**6,
    "GB": 10**9,
    "KiB": 2**10,
    "MiB": 2**20,
    "GiB": 2**30,
}


@dataclass(frozen=True)
class Share:
    """A part of the bytes of the asset to read."""

    part: Fraction

    def of(self, size: int) -> int:
        """Return the bytes that it is of ``size``."""
        return int(self.part * size)


def _size(text: str) -> int | Share:
    """Return the bytes that ``25MB`` and the like stand for, or the share that ``50%`` does."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*|%)", text)
    units = {unit.lower(): size for unit, size in _UNITS.items()}
    units |= {unit.removesuffix("b"): size for unit, size in units.items()}
    if match and match[2] == "%":
        return Share(Fraction(match[1]) / 100)
    size = units.get(match[2].lower()) if match else None
    if match is None or size is None:
        raise argparse.ArgumentTypeError(
            f"must be a size such as 25MB, in {', '.join(_UNITS)}, or a share of IN such as 50%; "
            f"got {text!r}"
        )
    return int(Fraction(match[1]) * size)


def _forms(text: str) -> tuple[CandidateForm, ...]:
    """Return the forms that ``integer,table`` and the like name."""
    parse = choice_of(list(CandidateForm))
    return tuple(CandidateForm(parse(word.strip())) for word in text.split(","))


class Goal(NamedTuple):
    """A size or a quality to choose formats for, where none is named.

    Attributes:
        target_size: bytes that the asset may take; or None.
        min_sqnr: SQNR in dB that the plan must have; or None.
        plan_out: a TOML file for the rules that were chosen; or None.
        forms: forms that are chosen among; None for integers.
    """

    target_size: int | None
    min_sqnr: float | None
    plan_out: Path | None
    forms: tuple[CandidateForm, ...] | None

    @classmethod
    def of(cls, options: argparse.Namespace, source: Path) -> Self:
        """Return what was typed about a goal, for the asset ``source``."""
        size = options.target_size
        if isinstance(size, Share):  # of 0 bytes if there is no asset, which loading it will say
            size = size.of(asset_bytes(source))
        return cls(size, options.min_sqnr, options.plan_out, options.forms)

    @property
    def option(self) -> str:
        """The option that sets it; empty if none does."""
        options = {"--target-size": self.target_size, "--min-sqnr": self.min_sqnr}
        return " and ".join(option for option, value in options.items() if value is not None)

    def check(self, settings: Settings, rules: Path | None, importance: Path | None) -> None:
        """Check that there is one way to find formats, and that no option is without effect.

        Args:
            settings: what was typed about formats.
            rules, importance: files; or None.

        Raises:
            InputError: an option that cannot be used.
        """
        if not self.option:
            if settings.dtype is None and rules is None:
                raise UsageError(
                    "give --dtype, --preset or --rules, or else --target-size or --min-sqnr, which "
                    "choose a format for each weight"
                )
            if self.plan_out is not None:
                raise UsageError("--plan-out needs --target-size or --min-sqnr")
            if self.forms is not None:
                raise UsageError("--forms needs --target-size or --min-sqnr")
            return
        if None not in {self.target_size, self.min_sqnr}:
            raise UsageError(f"{self.option} cannot be given together: leave one out")
        files = {"--rules": rules, "--importance": importance}
        useless = [option for option, file in files.items() if file is not None]
        useless += map(option_of, settings.said())
        if useless:
            raise UsageError(
                f"{useless[0]} has no place beside {self.option}, which chooses formats itself: "
                "leave one out, or edit what --plan-out writes and give it as --rules"
            )
        parse_goal(self.target_size, self.min_sqnr)
        if self.plan_out is not None:
            check_file("--plan-out", self.plan_out, (".toml",))

    def choose(self, measured: Measured, size: int) -> tuple[list[Rule], Planned]:
        """Return rules that reach the goal, and what they were chosen from, which is printed.

        Args:
            measured: the weights of a program and their candidates.
            size: bytes of the program's asset.

        Raises:
            InputError: no plan reaches the goal.
            OSError: the file of rules cannot be written.
        """
        weights = measured.weights
        # The file has more than weights, and some more for each that is quantized.
        rest = size - sum(weight.nbytes for weight in weights) + IR_BYTES * (len(weights) + 1)
        least = rest + sum(weight.least_nbytes for weight in weights)
        if self.target_size is not None and self.target_size < least:
            raise InputError(
                f"--target-size {self.target_size:,} cannot be reached: with the smallest formats "
                f"the file takes about {least:,} bytes"
            )
        with steps_bar("choosing") as progress:
            plan = choose_plan(
                measured,
                target_bytes=None if self.target_size is None else self.target_size - rest,
                min_sqnr=self.min_sqnr,
                progress=progress,
            )
        if self.plan_out is not None:
            write_text(self.plan_out, plan.to_toml())
        print_frontier(stdout(), plan, rest)
        points = tuple((rest + point.nbytes, point.sqnr_db) for point in plan.frontier)
        return plan.rules, Planned(points, (rest + plan.nbytes, plan.sqnr_db), plan.sqnr_of)
