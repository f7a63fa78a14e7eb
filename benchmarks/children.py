"""Scripts that run in the environments of contenders, each in a fresh process with one thread."""

import json
import os
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from environments import OURS, installed_peers, python_of
from pool import HERE, ONE_THREAD


def run_child(script: str, contender: str, *arguments: object, log: Path) -> Any:
    """Run a script of this folder in a contender's environment.

    Args:
        script: its name.
        contender: whose environment it runs in.
        arguments: of the script.
        log: a file that its stderr is added to.

    Returns:
        what the last line of its output says, as JSON.
    """
    command = [python_of(contender), HERE / script, *map(str, arguments)]
    one_thread = {**os.environ, **ONE_THREAD}
    with log.open("a") as errors:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=one_thread, check=True
        )
    return json.loads(done.stdout.splitlines()[-1])


def run_each(script: str, peers: Iterable[str], *sizes: int, log: Path) -> dict[str, Any]:
    """Run a script for ourselves and each peer that is installed.

    Args:
        script: its name.
        peers: who else there is.
        sizes: its arguments; weights are as long and as wide as the first.
        log: as for :func:`run_child`.

    Returns:
        ``weights``: how many elements; ``rows``: the script's rows, with the contender.
    """
    rows = []
    for contender in (OURS, *(peer for peer in peers if peer in installed_peers())):
        found = run_child(script, contender, contender, *sizes, log=log)
        rows += [{"contender": contender, **row} for row in found]
    return {"weights": sizes[0] ** 2, "rows": rows}
