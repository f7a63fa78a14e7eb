"""A plugin for pytest: of each test function a few cases, far apart, and none that builds C.

Nearly every broken rule fails some test function in any case of it, and all functions of an area
take seconds in this way.
"""

from collections import defaultdict

import pytest

CASES = 3
BUILDS = "tests/csrc/"
"""Tests that compile the library themselves."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave some of the tests that were found."""
    functions: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        functions[item.nodeid.partition("[")[0]].append(item)
    items[:] = [
        case
        for function, cases in functions.items()
        if not function.startswith(BUILDS)
        for case in _far_apart(cases)
    ]


def _far_apart(cases: list[pytest.Item]) -> list[pytest.Item]:
    last = len(cases) - 1
    return [cases[at] for at in sorted({last * part // (CASES - 1) for part in range(CASES)})]
