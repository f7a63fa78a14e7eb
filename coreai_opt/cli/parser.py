"""The parser of the command line, and arguments that several subcommands have."""

import argparse
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from coreai_opt.exceptions import InputError
from coreai_opt.settings.arguments import did_you_mean
from coreai_opt.settings.enums import find_spelled

__all__ = [
    "EXIT_ERROR",
    "LATE_WORDS",
    "PROGRAM",
    "Parser",
    "Subcommands",
    "UsageError",
    "add_force",
    "add_json",
    "add_loudness",
    "add_source",
    "add_threshold",
    "choice_of",
    "int_at_least",
    "option_of",
    "parse_decibels",
    "say",
]

PROGRAM = "coreai-opt"
EXIT_ERROR = 2
LATE_WORDS = "words"
"""The argument, of commands that have it, that takes the words after the first, wherever they are.

argparse takes those before the first option alone.
"""


def say(kind: str, message: str) -> None:
    """Print a message on stderr as one line, whatever characters it holds."""
    print(f"{PROGRAM}: {kind}: {' '.join(message.split())}", file=sys.stderr)


class UsageError(InputError):
    """Options that cannot be given, alone or together."""


def option_of(name: str) -> str:
    """Return the option that stands for an argument of the Python API."""
    return f"--{name.replace('_', '-')}"


class _Formatter(argparse.HelpFormatter):
    """Wraps text to the terminal's width, except text of several lines.

    So examples can be copied from a terminal of any width.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """Reports a bad command line as one line that says where to look, without the usage text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False, formatter_class=_Formatter)
        self._typed: Sequence[str] = ()

    def error(self, message: str) -> NoReturn:
        """Print one line, and exit; say of a misspelled option, not of what it leaves missing."""
        if message.startswith("the following arguments are required"):
            message = next(filter(None, map(self._like_another, self._typed)), message)
        say("error", f"{message}; see {self.prog} --help")
        raise SystemExit(EXIT_ERROR)

    def parse_known_args(  # type: ignore[override]  # typeshed has overloads by namespace
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, and report unknown options with those of the subcommand that are like them."""
        self._typed = sys.argv[1:] if args is None else args
        options, unknown = super().parse_known_args(args, namespace)
        if hasattr(options, LATE_WORDS) and not any(word.startswith("-") for word in unknown):
            words = [*getattr(options, LATE_WORDS), *map(Path, unknown)]
            setattr(options, LATE_WORDS, words)
            unknown = []
        if unknown:
            self.error(self._not_known(unknown[0]))
        return options, unknown

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        """Check that a value is one of an argument's choices, in the words of ``choice_of``."""
        if action.choices is not None and value not in action.choices:
            raise argparse.ArgumentError(action, _one_of(map(str, action.choices), str(value)))

    def _not_known(self, word: str) -> str:
        if not word.startswith("-"):
            return f"there is one argument too many: {word}"
        return self._like_another(word) or f"unknown option {word}"

    def _like_another(self, word: str) -> str:
        """Return which option is meant by one that there is not; empty if none is like it."""
        import difflib  # noqa: PLC0415  # only here

        known, option = list(self._option_string_actions), word.partition("=")[0]
        if not word.startswith("--") or option in known:
            return ""
        near = difflib.get_close_matches(option, known, n=1)
        return "".join(f"unknown option {word} (did you mean {option}?)" for option in near)


Subcommands: TypeAlias = "argparse._SubParsersAction[Parser]"


def add_source(parser: argparse.ArgumentParser) -> None:
    """Add IN, the asset to read."""
    parser.add_argument("source", metavar="IN.aimodel", type=Path, help="asset to read")


def add_force(group: argparse._ArgumentGroup) -> None:
    """Add ``--force``."""
    group.add_argument("--force", action="store_true", help="replace OUT if it exists")


def add_loudness(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet`` and ``--verbose``."""
    group = parser.add_argument_group("messages").add_mutually_exclusive_group()
    group.add_argument(
        "-q", "--quiet", action="store_true", help="print nothing but errors, and show no progress"
    )
    group.add_argument(
        "-v",
        "--verbose",
        action="store_true",
        help="a line for each weight that is left as it is, in place of one for each cause",
    )


def add_json(group: argparse._ActionsContainer) -> None:
    """Add ``--json``."""
    group.add_argument(
        "--json", action="store_true", help="print JSON in place of tables, for other programs"
    )


def add_threshold(group: argparse._ActionsContainer) -> None:
    """Add ``--threshold``."""
    group.add_argument(
        "--threshold",
        type=int_at_least(0),
        default=1024,
        metavar="N",
        help="leave weights with at most N elements alone (default: %(default)s)",
    )


def choice_of(choices: Sequence[str]) -> Callable[[str], str]:
    """Return a function that finds the choice which a text spells, in any case or in short."""

    def parse(text: str) -> str:
        choice = find_spelled(text, choices)
        if choice is None:
            raise argparse.ArgumentTypeError(_one_of(choices, text))
        return choice

    return parse


def _one_of(choices: Iterable[str], got: str) -> str:
    choices = list(choices)
    return f"must be one of {', '.join(choices)}; got {got!r}{did_you_mean(got, choices)}"


def parse_decibels(text: str) -> float:
    """Return the number of dB that a text such as ``30`` or ``30dB`` says."""
    try:
        number = float(text.lower().removesuffix("db"))
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise argparse.ArgumentTypeError(f"must be a number of dB such as 30; got {text!r}")
    return number


def int_at_least(least: int) -> Callable[[str], int]:
    """Return a function that reads whole numbers and refuses smaller ones than ``least``."""

    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number >= {least}; got {text!r}")
        return number

    return parse
