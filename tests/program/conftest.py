"""The two implementations, as a fixture; and threads for weights as small as those of tests."""

import pytest

from ..support.threads import all_weights_are_worth_a_thread

__all__ = ["all_weights_are_worth_a_thread", "backend"]


@pytest.fixture(params=["reference", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn; "native" fails, and is not skipped, where the module did not load."""
    return str(request.param)
