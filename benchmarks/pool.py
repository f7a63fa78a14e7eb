"""The contenders' processes, seen from the benchmark."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from cases import Case
from environments import python_of

HERE = Path(__file__).parent

ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ACCELERATE_NUM_THREADS"), "1"
)


class Worker:
    """A contender in its own process and environment, kept alive between timings.

    Attributes:
        name: the contender: a module in ``contenders``.
        versions: the packages that it measures.
    """

    def __init__(self, name: str, environment: str, log: Path) -> None:
        self.name = name
        with log.open("w") as errors:
            self._process = subprocess.Popen(
                [python_of(environment), HERE / "worker.py", name],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, **ONE_THREAD},
            )
        self.versions: dict[str, str] = self._answer()

    def prepare(self, case: Case, threads: int) -> bool:
        """Make ready to time a case, and say whether that can be done."""
        return self._ask("prepare", case.to_json(), threads)

    def seconds(self, threads: int) -> float:
        """Return the seconds of one call."""
        return self._ask("time", threads)

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def _ask(self, *request: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the process of {self.name} died; its log says why")
        return json.loads(line)
