"""(d) Searched scales: SQNR, bits and speed of 4-bit formats beside ggml's and torchao's."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from environments import OURS, installed_peers, python_of
from pool import HERE, ONE_THREAD

CONTENDERS = (OURS, "ggml", "torchao")


def run_search(size: int, *, log: Path) -> dict[str, Any]:
    """Measure every contender that is installed on one normal weight of ``size`` x ``size``.

    Returns:
        ``weights``: how many; ``rows``: what ``search_child.py`` says, with the contender.
    """
    rows = []
    for contender in CONTENDERS:
        if contender == OURS or contender in installed_peers():
            rows += [{"contender": contender, **row} for row in _run(contender, size, log)]
    return {"weights": size * size, "rows": rows}


def _run(contender: str, size: int, log: Path) -> list[dict[str, Any]]:
    command = [python_of(contender), HERE / "search_child.py", contender, str(size)]
    one_thread = {**os.environ, **ONE_THREAD}
    with log.open("a") as errors:
        done = subprocess.run(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=one_thread, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])
