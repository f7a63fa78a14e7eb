"""A contender's process: it quantizes when it is asked to, and says how long it took.

Run as ``python worker.py CONTENDER``. It takes one JSON request a line, ``["prepare", case,
threads]`` or ``["time", threads]``, and answers each with one line of JSON: whether it can do the
case, or the seconds of one call.
"""

import importlib
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import metadata
from typing import Any, TextIO

from cases import Case
from weights import make_weight


def main() -> None:
    """Answer requests until there are no more."""
    answers = _private_stdout()
    contender = importlib.import_module(f"contenders.{sys.argv[1]}")
    _say(answers, {name: metadata.version(name) for name in contender.DISTRIBUTIONS})
    prepared: dict[int, Callable[[], Any]] = {}
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        if verb == "time":
            _say(answers, _seconds(prepared[arguments[0]]))
        else:
            _say(answers, _prepare(contender, prepared, *arguments))


def _prepare(
    contender: Any, prepared: dict[int, Callable[[], Any]], case_json: str, threads: int
) -> bool:
    """Make ready to time a case, and run it once."""
    case = Case.from_json(case_json)
    run = contender.prepare(case, make_weight(case.source, case.shape), threads)
    if run is None:
        return False
    run()
    prepared[threads] = run
    return True


def _seconds(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    result = run()
    seconds = time.perf_counter() - start
    del result  # freeing it is not part of the work
    return seconds


def _private_stdout() -> TextIO:
    """Return the real standard output, and send what libraries print to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return answers


def _say(answers: TextIO, answer: Any) -> None:
    print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
