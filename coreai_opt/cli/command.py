"""The command: its subcommands, its errors and its exit codes.

Neither this nor what it imports brings Core AI with it: ``coreai-opt --help`` should not wait.
"""

import argparse
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from coreai_opt._version import __version__
from coreai_opt.cli import (
    calibrate,
    compare,
    completion,
    dequantize,
    inspect,
    messages,
    palettize,
    presets,
    quantize,
    sparsify,
)
from coreai_opt.cli.console import (
    StdoutError,
    drop_stdout,
    flush_stdout,
    open_closed_streams,
    quietly,
)
from coreai_opt.cli.parser import EXIT_ERROR, PROGRAM, Parser, say
from coreai_opt.cli.warnings import warnings_shown
from coreai_opt.exceptions import QualityError

EXIT_QUALITY = 1
EXIT_INTERRUPTED = 130
"""Exit code that a shell reports for a process ended by Ctrl-C: 128 + SIGINT."""
EXIT_READER_LEFT = 141
"""Exit code that a shell reports where nobody reads the output any more: 128 + SIGPIPE."""

_EXAMPLES = """\
examples:
  what is in a model:
    coreai-opt inspect model.aimodel

  a copy with 8-bit weights, and how far its outputs are from the original's:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8
    coreai-opt compare model.aimodel int8.aimodel

coreai-opt COMMAND --help explains a command."""


def make_parser() -> Parser:
    """Return the parser of the command line.

    The result of parsing has ``run``, the function that carries out the subcommand and takes that
    result, and ``needs_core_ai``, which says whether the subcommand needs Core AI.
    """
    parser = Parser(
        prog=PROGRAM,
        description="Quantize the weights of Core AI programs (.aimodel) to 8, 4 and 2 bits.",
        epilog=_EXAMPLES,
    )
    parser.add_argument(
        "-V",
        "--version",
        action="version",
        version=f"coreai-opt-native {__version__}",
        help="show the version and exit",
    )
    parser.set_defaults(quiet=False, verbose=False)  # of commands without these options
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    quantize.add_parser(commands)
    palettize.add_parser(commands)
    sparsify.add_parser(commands)
    dequantize.add_parser(commands)
    inspect.add_parser(commands)
    compare.add_parser(commands)
    calibrate.add_parser(commands)
    presets.add_parser(commands)
    completion.add_parser(commands, parser)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Args:
        arguments: the command line without the program's name; ``sys.argv`` unless given.

    Returns:
        the exit code: 0, 1 where an output has less SQNR than it must, 2 after an error (both one
        line on stderr), 130 after Ctrl-C, 141 where the reader of its output has left.
    """
    open_closed_streams()
    try:
        try:
            code = _run_command(arguments)
        except SystemExit:  # of the parser, which may have printed help
            flush_stdout()
            raise
        flush_stdout()
        return code
    except StdoutError as error:
        drop_stdout()
        if error.reader_left:
            return EXIT_READER_LEFT
        say("error", messages.of_error(error))
        return EXIT_ERROR


def _run_command(arguments: Sequence[str] | None) -> int:
    options = make_parser().parse_args(arguments)
    try:
        with (
            quietly(quiet=options.quiet),
            warnings_shown(quiet=options.quiet, verbose=options.verbose),
        ):
            _run(options)
    except QualityError as error:
        say("error", str(error))
        return EXIT_QUALITY
    except messages.EXPECTED_ERRORS as error:
        say("error", messages.of_error(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        say("error", "interrupted")
        return EXIT_INTERRUPTED
    return 0


def _run(options: argparse.Namespace) -> None:
    if options.needs_core_ai:
        with _interrupts_deferred():
            _import_core_ai()
    options.run(options)


def _import_core_ai() -> None:
    import coreai_opt.program.ir  # noqa: F401, PLC0415  # half a second


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Have Ctrl-C wait for the end of the block.

    Core AI's extension modules abort the process when they are interrupted half imported. A handler
    keeps the signal; if this thread masked it, it would go to one of numpy's threads.
    """
    ours = threading.current_thread() is threading.main_thread()
    if not ours or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    interrupted = threading.Event()
    signal.signal(signal.SIGINT, lambda *_: interrupted.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupted.is_set():
        raise KeyboardInterrupt
