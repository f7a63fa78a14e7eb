"""A plugin for pytest: which test is running now, for when it takes the process with it."""

import os
from pathlib import Path

VARIABLE = "COREAI_OPT_MUTANTS_RECORD"
"""Environment variable with the file to write it to."""


def pytest_runtest_logstart(nodeid: str) -> None:
    Path(os.environ[VARIABLE]).write_text(nodeid)
