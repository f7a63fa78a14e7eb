"""A fixture for rooms whose tests quantize programs of small weights."""

import pytest

from coreai_opt.program import quantize

__all__ = ["all_weights_are_worth_a_thread"]


@pytest.fixture(autouse=True)
def all_weights_are_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads share weights as small as those of tests."""
    monkeypatch.setattr(quantize, "WORTH_A_THREAD", 1)
