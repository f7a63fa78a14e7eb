"""The command ``coreai-opt``: its errors and its exit codes.

Its command line is in ``options.py``. What the subcommands do is in ``commands.py``, which is
imported only when one of them runs: it brings Core AI with it.
"""

import importlib
import logging
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from coreai_opt import BackendMismatchError
from coreai_opt.compare import QualityError
from coreai_opt.messages import for_command
from coreai_opt.options import EXIT_ERROR, make_parser, say

EXIT_QUALITY = 1
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
    options = vars(make_parser().parse_args(arguments))
    logger = logging.getLogger("coreai_opt")
    handler = _OneLineHandler()
    logger.addHandler(handler)
    try:
        _run(**options)
    except QualityError as error:
        say("error", str(error))
        return EXIT_QUALITY
    except EXPECTED_ERRORS as error:
        say("error", for_command(error))
        return EXIT_ERROR
    except KeyboardInterrupt:
        say("error", "interrupted")
        return EXIT_INTERRUPTED
    finally:
        logger.removeHandler(handler)
    return 0


def _run(module: str, command: str, **arguments: Any) -> None:
    with _interrupts_deferred():
        imported = importlib.import_module(module)
    getattr(imported, command)(**arguments)


@contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Ctrl-C waits for the end: Core AI's extension modules abort when it stops them half imported.

    By a handler: masked in this thread, the signal would go to one of numpy's.
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


class _OneLineHandler(logging.Handler):
    """Log records as single lines on what ``sys.stderr`` is now (the progress bar replaces it)."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.levelname.lower(), for_command(record.getMessage()))
