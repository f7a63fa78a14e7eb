"""The command: its subcommands, its errors and its exit codes.

Neither this nor what it imports brings Core AI with it: ``coreai-opt --help`` should not wait.
"""

from collections.abc import Sequence

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
    result.
    """
    parser = Parser(
        prog=PROGRAM,
        description="Compress the weights of Core AI programs (.aimodel).",
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
            options.run(options)
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
