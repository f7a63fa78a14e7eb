"""The command line of ``coreai-opt``: subcommands, options, and the help that explains them.

Neither this nor what it imports brings Core AI with it: ``coreai-opt --help`` should not wait.
"""

import argparse
import math
import re
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn, TypeAlias

from coreai_opt import (
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
    __version__,
)
from coreai_opt.backends import BACKENDS
from coreai_opt.reference import FORMATS

__all__ = ["EXIT_ERROR", "PROGRAM", "SHELLS", "make_parser", "say"]

PROGRAM = "coreai-opt"
EXIT_ERROR = 2
SHELLS = ("bash", "zsh", "fish")


def say(kind: str, message: str) -> None:
    """Print a line for the person at the keyboard; whatever it holds, it stays one line."""
    print(f"{PROGRAM}: {kind}: {' '.join(message.split())}", file=sys.stderr)


class _Formatter(argparse.HelpFormatter):
    """Wraps text to the terminal, but for text of several lines: that is laid out already.

    So examples can be copied whatever the terminal's width is.
    """

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text else super()._fill_text(text, width, indent)


class Parser(argparse.ArgumentParser):
    """Reports a bad command line as one line that says where to look, without the usage text."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options, allow_abbrev=False, formatter_class=_Formatter)

    def error(self, message: str) -> NoReturn:
        """Print one line, and exit."""
        say("error", f"{message}; see {self.prog} --help")
        raise SystemExit(EXIT_ERROR)

    def parse_known_args(  # type: ignore[override]  # typeshed has overloads by namespace
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Parse, and report what is not known where it is known what could have been meant."""
        options, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(self._not_known(unknown[0]))
        return options, unknown

    def _not_known(self, word: str) -> str:
        import difflib  # noqa: PLC0415  # only here

        if not word.startswith("-"):
            return f"there is one argument too many: {word}"
        known, option = list(self._option_string_actions), word.partition("=")[0]
        near = difflib.get_close_matches(option, known, n=1)
        return f"unknown option {word}{''.join(f' (did you mean {option}?)' for option in near)}"


_Commands: TypeAlias = "argparse._SubParsersAction[Parser]"


def make_parser() -> Parser:
    """Return the parser of the command line.

    What it returns has ``module`` and ``command``, the function to call, and as everything else
    the arguments of that.
    """
    parser = Parser(
        prog=PROGRAM,
        description="Quantize the weights of Core AI programs (.aimodel) to 8, 4 and 2 bits.",
        epilog=_MAIN_EXAMPLES,
    )
    parser.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"coreai-opt-native {__version__}",
        help="show the version and exit",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_quantize(commands)
    _add_dequantize(commands)
    _add_inspect(commands)
    _add_compare(commands)
    _add_completion(commands)
    return parser


_MAIN_EXAMPLES = """\
examples:
  what is in a model:
    coreai-opt inspect model.aimodel

  a copy with 8-bit weights, and how far its outputs are from the original's:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8
    coreai-opt compare model.aimodel int8.aimodel

coreai-opt COMMAND --help explains a command."""

_QUANTIZE_USAGE = """\
%(prog)s IN.aimodel OUT.aimodel --dtype FORMAT [options]
       %(prog)s IN.aimodel OUT.aimodel --rules FILE.toml [options]
       %(prog)s IN.aimodel OUT.aimodel --target-size SIZE [options]
       %(prog)s IN.aimodel OUT.aimodel --min-sqnr DB [options]
       %(prog)s IN.aimodel --dry-run (any of these)"""

_QUANTIZE_EXAMPLES = """\
examples:
  8 bits, a scale for each output channel; half of float16, few models notice:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8

  4 bits in blocks of 32, or fewer where 32 does not fit, with searched scales:
    coreai-opt quantize model.aimodel int4.aimodel --dtype int4 \\
        --granularity per_block --indivisible fit --observer mse

  MXFP4:
    coreai-opt quantize model.aimodel mxfp4.aimodel --dtype fp4_e2m1fn \\
        --granularity per_block

  a format for each weight, so that the file fits; the choice can be edited:
    coreai-opt quantize model.aimodel fits.aimodel --target-size 300KB \\
        --plan-out plan.toml
    coreai-opt quantize model.aimodel edited.aimodel --rules plan.toml

  what would become of each weight, without writing anything:
    coreai-opt quantize model.aimodel --dtype int4 --dry-run"""


def _add_quantize(commands: _Commands) -> None:
    parser = commands.add_parser(
        "quantize",
        usage=_QUANTIZE_USAGE,
        help="write a copy of an asset with its weights quantized",
        description="Write OUT, a copy of IN with its weights quantized. OUT appears only when it "
        "is complete. Its formats are named (--dtype, --rules or both) or chosen (--target-size or "
        "--min-sqnr). A weight that cannot be quantized as it should is left as it is, with a "
        "warning.",
        epilog=_QUANTIZE_EXAMPLES,
    )
    parser.set_defaults(module="coreai_opt.commands")
    _add_source(parser)
    _add_output(parser, nargs="?")
    _add_format(parser.add_argument_group("format", "What weights become."))
    _add_rules(parser.add_argument_group("rules", "Other formats for some weights, or none."))
    _add_budget(
        parser.add_argument_group("budget", "Instead of a format: a format for each weight.")
    )
    _add_outputs(parser.add_argument_group("output"))
    _add_running(parser.add_argument_group("running"))


def _add_format(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--dtype",
        choices=list(FORMATS),
        metavar="FORMAT",
        help="%(choices)s; with --rules it may be left out: weights that no rule matches are kept",
    )
    group.add_argument(
        "--granularity",
        choices=[g.value for g in CompressionGranularity if g is not _REFUSED_GRANULARITY],
        metavar="WHICH",
        help="which elements of a weight share a scale: %(choices)s "
        f"(default: {CompressionGranularity.PER_CHANNEL})",
    )
    group.add_argument(
        "--block-size",
        type=_int_at_least(1),
        metavar="N",
        help="input channels that share a scale with per_block (default: 32)",
    )
    group.add_argument(
        "--indivisible",
        choices=[choice.value for choice in Indivisible],
        metavar="WHAT",
        help="weights whose input channels the block size does not divide: skip leaves them as "
        "they are, fit takes the largest block size below that does "
        f"(default: {Indivisible.SKIP})",
    )
    group.add_argument(
        "--qscheme",
        choices=[scheme.value for scheme in QScheme],
        metavar="SCHEME",
        help=f"%(choices)s (default: {QScheme.SYMMETRIC}); floating-point formats are symmetric",
    )
    group.add_argument(
        "--scale-dtype",
        choices=[DType.FP8_E8M0FNU.value],
        metavar="FORMAT",
        help="%(choices)s: scales of FP8 are powers of two (default: the weight's dtype)",
    )
    group.add_argument(
        "--observer",
        choices=[observer.value for observer in Observer],
        metavar="HOW",
        help="how scales are found: minmax takes them from the largest weight, mse searches for "
        "those with the least squared error, which is slower "
        f"(default: {Observer.MINMAX})",
    )
    group.add_argument(
        "--importance",
        type=Path,
        metavar="FILE.npz",
        help="with mse, what squared errors count: an array of one number per input channel for "
        "each weight that it names as inspect does",
    )


def _add_rules(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--rules",
        type=Path,
        metavar="FILE.toml",
        help="settings for some weights: [[rule]] tables with name, consumer or shape to match, "
        "and keep or any of dtype, qscheme, granularity, block_size, scale_dtype, observer, "
        "indivisible; the last that matches counts",
    )
    _add_threshold(group)


def _add_budget(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--target-size",
        type=_size,
        metavar="SIZE",
        help="OUT takes at most SIZE, such as 25MB, 24MiB or 25000000 bytes, and the weights' "
        "error is as small as may be; prints what else there is to choose from",
    )
    group.add_argument(
        "--min-sqnr",
        type=_decibels,
        metavar="DB",
        help="the weights together have at least this SQNR, or with --inputs the outputs, about, "
        "and OUT is as small as may be",
    )
    group.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input of IN, by name, or of several samples: a weight's error "
        "counts by what it does to the outputs then; --verify runs it, too",
    )
    group.add_argument(
        "--plan-out",
        type=Path,
        metavar="FILE.toml",
        help="where to write what was chosen; --rules reads it",
    )


def _add_outputs(group: argparse._ArgumentGroup) -> None:
    _add_force(group)
    group.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would become of each weight, its size and SQNR, and write no asset",
    )
    group.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a report of every weight: a page with charts (.html), .md or .json",
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="run IN and the result on Core AI's runtime and print how far their outputs are "
        "apart, on --inputs or on random ones",
    )


def _add_running(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        metavar="WHICH",
        help="%(choices)s; validate runs native and reference and compares every byte (default: "
        "%(default)s)",
    )
    group.add_argument(
        "--threads",
        dest="num_threads",
        type=_int_at_least(1),
        metavar="N",
        help="threads of the native backend (default: one per processor)",
    )


_DEQUANTIZE_EXAMPLES = """\
examples:
  what quantizing did, for a tool that reads float weights:
    coreai-opt quantize model.aimodel int4.aimodel --dtype int4
    coreai-opt dequantize int4.aimodel floats.aimodel"""


def _add_dequantize(commands: _Commands) -> None:
    parser = commands.add_parser(
        "dequantize",
        help="write a copy of an asset with its weights as floats again",
        description="Write OUT, a copy of IN with its quantized weights decoded to floats, for "
        "tools that cannot read quantized ones. OUT appears only when it is complete.",
        epilog=_DEQUANTIZE_EXAMPLES,
    )
    parser.set_defaults(module="coreai_opt.commands")
    _add_source(parser)
    _add_output(parser)
    _add_force(parser.add_argument_group("output"))


_INSPECT_EXAMPLES = """\
examples:
  names, shapes and sizes of all weights; rules take these names:
    coreai-opt inspect model.aimodel

  the large ones alone:
    coreai-opt inspect model.aimodel --threshold 100000"""


def _add_inspect(commands: _Commands) -> None:
    parser = commands.add_parser(
        "inspect",
        help="list the weights of an asset",
        description="List the weights of IN that can be quantized, and those that are already.",
        epilog=_INSPECT_EXAMPLES,
    )
    parser.set_defaults(module="coreai_opt.commands")
    _add_source(parser)
    _add_threshold(parser)


_COMPARE_EXAMPLES = """\
examples:
  on random inputs:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8
    coreai-opt compare model.aimodel int8.aimodel

  on recorded ones, in a script that must fail if it is worse than 30 dB:
    coreai-opt compare model.aimodel int8.aimodel --inputs inputs.npz \\
        --min-sqnr 30

exit codes:
  0; 1 if an output has less SQNR than --min-sqnr; 2 after an error"""


def _add_compare(commands: _Commands) -> None:
    parser = commands.add_parser(
        "compare",
        help="run two assets on the same inputs and compare their outputs",
        description="Run A and B on Core AI's runtime, on the same inputs, and print how far each "
        "output of B is from that of A: SQNR; cosine similarity; the largest absolute error; and "
        "top-1, the share of rows along the last axis whose largest elements stand in the same "
        "place.",
        epilog=_COMPARE_EXAMPLES,
    )
    parser.set_defaults(module="coreai_opt.commands")
    parser.add_argument("reference", metavar="A.aimodel", type=Path, help="asset to compare with")
    parser.add_argument("other", metavar="B.aimodel", type=Path, help="asset to judge")
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input, by name, as numpy.savez writes them, or of several samples "
        "(default: random; floats are normal, integers rows of the table that they select from or "
        "else 1, booleans true)",
    )
    inputs.add_argument(
        "--seed",
        type=_int_at_least(0),
        default=0,
        metavar="N",
        help="seed of the random inputs (default: %(default)s)",
    )
    parser.add_argument_group("judging").add_argument(
        "--min-sqnr",
        type=_decibels,
        metavar="DB",
        help="exit with code 1 if any output has less SQNR than this",
    )


_COMPLETION_EXAMPLES = """\
examples, each for all shells that are started from then on:
  bash, with the package bash-completion:
    mkdir -p ~/.local/share/bash-completion/completions
    coreai-opt completion bash \\
        > ~/.local/share/bash-completion/completions/coreai-opt

  zsh, with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc:
    mkdir -p ~/.zfunc
    coreai-opt completion zsh > ~/.zfunc/_coreai-opt

  fish:
    mkdir -p ~/.config/fish/completions
    coreai-opt completion fish > ~/.config/fish/completions/coreai-opt.fish"""


def _add_completion(commands: _Commands) -> None:
    parser = commands.add_parser(
        "completion",
        help="print a script that completes this command in a shell",
        description="Print a script with which a shell completes commands, options, their values "
        "and files. It is all that the shell reads: pressing Tab does not start this program. "
        "Print it again after an update.",
        epilog=_COMPLETION_EXAMPLES,
    )
    parser.set_defaults(module="coreai_opt.completion")
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="%(choices)s")


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.aimodel", type=Path, help="asset to read")


def _add_output(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "output", metavar="OUT.aimodel", type=Path, nargs=nargs, help="asset to write"
    )


def _add_force(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--force", action="store_true", help="replace OUT if it exists")


def _add_threshold(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--threshold",
        type=_int_at_least(0),
        default=1024,
        metavar="N",
        help="leave weights with at most N elements alone (default: %(default)s)",
    )


_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _size(text: str) -> int:
    """Return the bytes that ``25MB`` and the like stand for."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?([A-Za-z]*)", text)
    units = {unit.lower(): size for unit, size in _UNITS.items()}
    size = units.get(match[2].lower() or "b") if match else None
    if match is None or size is None:
        raise argparse.ArgumentTypeError(
            f"must be a size such as 25MB, in {', '.join(_UNITS)}; got {text!r}"
        )
    return int(Fraction(match[1]) * size)


def _decibels(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if math.isnan(number):
        raise argparse.ArgumentTypeError(f"must be a number of dB such as 30; got {text!r}")
    return number


_REFUSED_GRANULARITY = CompressionGranularity.PER_GROUPED_CHANNEL


def _int_at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"must be a whole number >= {least}; got {text!r}")
        return number

    return parse
