"""The two implementations, as a fixture; and threads for weights as small as those of tests."""

import pytest

from coreai_opt.program import quantize


@pytest.fixture(autouse=True)
def all_weights_are_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quantize, "WORTH_A_THREAD", 1)


@pytest.fixture(params=["reference", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn; "native" fails, and is not skipped, where the module did not load."""
    return str(request.param)
