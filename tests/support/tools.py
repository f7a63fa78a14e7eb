"""Programs that a test runs and that may not be there."""

import shutil

import pytest


def need(*tools: str) -> None:
    """Skip the test where one of the tools is missing."""
    for tool in tools:
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not installed")
