"""The command ``coreai-opt``: its options, its errors and its exit codes.

What the subcommands do is in ``commands.py``, which is imported only when one of them runs: it
brings Core AI with it, and ``coreai-opt --help`` should not wait for that.
"""

import argparse
import logging
import re
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NoReturn

from coreai_opt import (
    BackendMismatchError,
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
    __version__,
)
from coreai_opt.backends import BACKENDS
from coreai_opt.compare import QualityError
from coreai_opt.reference import FORMATS

PROGRAM = "coreai-opt"
EXIT_QUALITY = 1
EXIT_ERROR = 2
EXIT_INTERRUPTED = 130
"""What a shell reports for a process ended by Ctrl-C: 128 + SIGINT."""

# What the layers below raise for input, files and options that cannot be used. Anything else is a
# defect of this package and keeps its traceback.
EXPECTED_ERRORS = (
    BackendMismatchError,
    ImportError,
    MemoryError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name; ``sys.argv`` unless given.

    Returns:
        the exit code: 0, 1 where an output has less SQNR than it must, 2 after an error (both one
        line on stderr), 130 after Ctrl-C.
    """
    options = _parser().parse_args(arguments)
    logger = logging.getLogger("coreai_opt")
    handler = _OneLineHandler()
    logger.addHandler(handler)
    try:
        _run(options)
    except QualityError as error:
        _say("error", _message(error))
        return EXIT_QUALITY
    except EXPECTED_ERRORS as error:
        _say("error", _message(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        _say("error", "interrupted")
        return EXIT_INTERRUPTED
    finally:
        logger.removeHandler(handler)
    return 0


def _run(options: argparse.Namespace) -> None:
    from coreai_opt import commands  # noqa: PLC0415  # imports Core AI: half a second

    arguments = vars(options)
    command = getattr(commands, arguments.pop("command"))
    command(**arguments)


def _message(error: BaseException) -> str:
    # Core AI says "failed to persist …" and keeps why (a full disk, say) in the cause.
    cause = f": {error.__cause__}" if error.__cause__ else ""
    return f"{error}{cause}" if str(error) else type(error).__name__


def _say(kind: str, message: str) -> None:
    """Print a line for the person at the keyboard; whatever it holds, it stays one line."""
    print(f"{PROGRAM}: {kind}: {' '.join(message.split())}", file=sys.stderr)


class _OneLineHandler(logging.Handler):
    """Log records as single lines on what ``sys.stderr`` is now (the progress bar replaces it)."""

    def emit(self, record: logging.LogRecord) -> None:
        _say(record.levelname.lower(), record.getMessage())


class _Parser(argparse.ArgumentParser):
    """Reports a bad command line as one line, without argparse's usage text before it."""

    def error(self, message: str) -> NoReturn:
        _say("error", message)
        raise SystemExit(EXIT_ERROR)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=PROGRAM,
        description="Quantize the weights of Core AI programs (.aimodel).",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=f"coreai-opt-native {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_quantize(commands)
    _add_dequantize(commands)
    _add_inspect(commands)
    _add_compare(commands)
    return parser


def _add_quantize(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "quantize",
        allow_abbrev=False,
        help="write a copy of an asset with its weights quantized",
        description="Write OUT, a copy of IN with its weights quantized. "
        "OUT appears only when it is complete.",
    )
    _add_source(parser)
    _add_output(parser, nargs="?")
    parser.add_argument(
        "--dtype",
        choices=list(FORMATS),
        help="format of the quantized weights; left out with --target-size or --min-sqnr, and "
        "with --rules if it may: weights that no rule matches are kept then",
    )
    parser.add_argument(
        "--granularity",
        choices=[g.value for g in CompressionGranularity if g is not _REFUSED_GRANULARITY],
        default=CompressionGranularity.PER_CHANNEL.value,
        help="which elements of a weight share a scale (default: %(default)s)",
    )
    parser.add_argument(
        "--block-size",
        type=_int_at_least(1),
        metavar="N",
        help="input channels that share a scale with per_block (default: 32)",
    )
    parser.add_argument(
        "--qscheme",
        choices=[scheme.value for scheme in QScheme],
        default=QScheme.SYMMETRIC.value,
        help="default: %(default)s; floating-point formats are symmetric",
    )
    parser.add_argument(
        "--scale-dtype",
        choices=[DType.FP8_E8M0FNU.value],
        help="store the scales of an FP8 format as powers of two (default: the weight's dtype)",
    )
    parser.add_argument(
        "--observer",
        choices=[observer.value for observer in Observer],
        default=Observer.MINMAX.value,
        help="mse searches for the scales with the least squared error (default: %(default)s)",
    )
    parser.add_argument(
        "--indivisible",
        choices=[choice.value for choice in Indivisible],
        default=Indivisible.SKIP.value,
        help="weights whose input channels the block size does not divide are left as they are, or "
        "get the largest block size below that does (default: %(default)s)",
    )
    parser.add_argument(
        "--rules",
        type=Path,
        metavar="FILE.toml",
        help="settings for some weights: [[rule]] tables with name, consumer or shape to match, "
        "and keep or any of dtype, qscheme, granularity, block_size, scale_dtype, observer, "
        "indivisible; the last that matches counts",
    )
    parser.add_argument(
        "--target-size",
        type=_size,
        metavar="SIZE",
        help="instead of a format: choose one for each weight so that OUT takes at most SIZE, such "
        "as 25MB, 24MiB or 25000000 bytes, and the weights' error is small",
    )
    parser.add_argument(
        "--min-sqnr",
        type=float,
        metavar="DB",
        help="instead of a format: choose one for each weight so that OUT is small and the weights "
        "have together this SQNR",
    )
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input of IN, by name, or of several samples: with --target-size "
        "and --min-sqnr a weight's error counts by what it does to the outputs then; --verify "
        "runs it",
    )
    parser.add_argument(
        "--plan-out",
        type=Path,
        metavar="FILE.toml",
        help="with --target-size and --min-sqnr: where to write what was chosen, as --rules reads",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FILE",
        help="write a report of every weight: a page with charts (.html), .md or .json",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="print what would become of each weight, its size and SQNR, and write no asset",
    )
    parser.add_argument(
        "--verify",
        action="store_true",
        help="run IN and the result on Core AI's runtime and print how far their outputs are "
        "apart, on --inputs or on random ones",
    )
    parser.add_argument(
        "--importance",
        type=Path,
        metavar="FILE.npz",
        help="with mse, what squared errors count: an array of one number per input channel for "
        "each weight that it names as inspect does",
    )
    _add_threshold(parser)
    parser.add_argument(
        "--backend",
        choices=BACKENDS,
        default="auto",
        help="validate runs native and reference and compares every byte (default: %(default)s)",
    )
    parser.add_argument(
        "--threads",
        dest="num_threads",
        type=_int_at_least(1),
        metavar="N",
        help="threads of the native backend (default: one per processor)",
    )


def _add_dequantize(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "dequantize",
        allow_abbrev=False,
        help="write a copy of an asset with its weights as floats again",
        description="Write OUT, a copy of IN with its quantized weights decoded to floats. "
        "OUT appears only when it is complete.",
    )
    _add_source(parser)
    _add_output(parser)


def _add_inspect(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "inspect",
        allow_abbrev=False,
        help="list the weights of an asset",
        description="List the weights of IN that can be quantized, and those that are already.",
    )
    _add_source(parser)
    _add_threshold(parser)


def _add_compare(commands: "argparse._SubParsersAction[_Parser]") -> None:
    parser = commands.add_parser(
        "compare",
        allow_abbrev=False,
        help="run two assets on the same inputs and compare their outputs",
        description="Run A and B on Core AI's runtime, on the same inputs, and print how far each "
        "output of B is from that of A: SQNR; cosine similarity; the largest absolute error; and "
        "top-1, the share of rows along the last axis whose largest elements stand in the same "
        "place.",
        epilog="Exit codes: 0; 1 if an output has less SQNR than --min-sqnr; 2 after an error.",
    )
    parser.add_argument("reference", metavar="A.aimodel", type=Path, help="asset to compare with")
    parser.add_argument("other", metavar="B.aimodel", type=Path, help="asset to judge")
    parser.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input, by name, as numpy.savez writes them (default: random; "
        "floats are normal, integers rows of the table that they select from or else 1, booleans "
        "true)",
    )
    parser.add_argument(
        "--seed",
        type=_int_at_least(0),
        default=0,
        metavar="N",
        help="seed of the random inputs (default: %(default)s)",
    )
    parser.add_argument(
        "--min-sqnr",
        type=float,
        metavar="DB",
        help="exit with code 1 if any output has less SQNR than this",
    )


def _add_source(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("source", metavar="IN.aimodel", type=Path, help="asset to read")


def _add_output(parser: argparse.ArgumentParser, nargs: str | None = None) -> None:
    parser.add_argument(
        "output", metavar="OUT.aimodel", type=Path, nargs=nargs, help="asset to write"
    )
    parser.add_argument("--force", action="store_true", help="replace OUT if it exists")


def _add_threshold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        type=_int_at_least(0),
        default=1024,
        metavar="N",
        help="leave weights with at most N elements alone (default: %(default)s)",
    )


_UNITS = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9}
_UNITS |= {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def _size(text: str) -> int:
    """Return the bytes that ``25MB`` and the like stand for."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]*)", text)
    if match is None or match[2] not in _UNITS:
        raise argparse.ArgumentTypeError(
            f"must be a size such as 25MB, in {', '.join(filter(None, _UNITS))}; got {text!r}"
        )
    return int(Fraction(match[1]) * _UNITS[match[2]])


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
