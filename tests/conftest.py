"""The option ``--long``."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="interrupt, kill and damage at every point, not at some"
    )


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to take the time that every point takes; a test covers some of them without."""
    return bool(request.config.getoption("--long"))
