"""The two implementations, as a fixture."""

import pytest


@pytest.fixture(params=["reference", "native"])
def backend(request: pytest.FixtureRequest) -> str:
    """Each backend in turn; "native" fails, and is not skipped, where the module did not load."""
    return str(request.param)
