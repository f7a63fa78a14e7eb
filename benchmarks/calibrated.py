"""(e) Rounding with second moments of the inputs (GPTQ): outputs' SQNR, bits and speed of peers."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from environments import CALIBRATED_PEERS, OURS, installed_peers, python_of
from pool import HERE, ONE_THREAD


def run_calibrated(size: int, *, log: Path) -> dict[str, Any]:
    """Measure every contender that is installed on one weight of ``size`` x ``size``.

    Returns:
        ``weights``: how many; ``rows``: what ``calibrated_child.py`` says, with the contender.
    """
    rows = []
    for contender in (OURS, *CALIBRATED_PEERS):
        if contender == OURS or contender in installed_peers():
            rows += [{"contender": contender, **row} for row in _run(contender, size, log)]
    return {"weights": size * size, "rows": rows}


def _run(contender: str, size: int, log: Path) -> list[dict[str, Any]]:
    command = [python_of(contender), HERE / "calibrated_child.py", contender, str(size)]
    one_thread = {**os.environ, **ONE_THREAD}
    with log.open("a") as errors:
        done = subprocess.run(  # noqa: S603
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=one_thread, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])
