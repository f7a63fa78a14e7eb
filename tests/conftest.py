"""The option ``--long``, and what is said of tests that could not run for want of a tool."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--long", action="store_true", help="interrupt, kill and damage at every point, not at some"
    )


@pytest.fixture(scope="session")
def long(request: pytest.FixtureRequest) -> bool:
    """Whether to take the time that every point takes; a test covers some of them without."""
    return bool(request.config.getoption("--long"))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say last, and in red, what is not tested because a compiler or an emulator is missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = [report.longrepr[2].removeprefix("Skipped: ") for report in skipped]
    missing = sorted({reason for reason in reasons if "is not installed" in reason})
    if missing:
        terminalreporter.section("NOT TESTED", red=True, bold=True)
        for reason in missing:
            terminalreporter.line(f"{reasons.count(reason)} tests: {reason}", red=True)
