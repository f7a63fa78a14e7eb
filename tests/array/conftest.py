"""The two implementations, and the instruction sets of one, as fixtures."""

import pytest

from coreai_opt import _native

from ..support.corpus import instruction_sets


@pytest.fixture(params=["reference", *(f"native-{level}" for level in instruction_sets())])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The reference, then "native" at every instruction set that is here.

    Where the native module did not load, this fails: nothing is skipped.
    """
    name, _, level = str(request.param).partition("-")
    if level:
        monkeypatch.setenv(_native.LEVEL_VARIABLE, level)
    return name


@pytest.fixture(params=instruction_sets())
def level(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The instruction set that "native" is capped to: each that is here."""
    monkeypatch.setenv(_native.LEVEL_VARIABLE, request.param)
    return str(request.param)
