"""A plugin for pytest: of each test function a few cases, far apart, and those that build C last.

Nearly every broken rule fails some test function in one of them, and all functions of an area take
seconds in this way.
"""

from collections import defaultdict

import pytest

CASES = 9
BUILDS = "tests/csrc/"
"""Tests that compile the library themselves, of which one case is tried."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave some of the tests that were found."""
    functions: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        functions[item.nodeid.partition("[")[0]].append(item)
    in_order = sorted(functions, key=lambda function: function.startswith(BUILDS))
    items[:] = [case for function in in_order for case in _few(function, functions[function])]


def _few(function: str, cases: list[pytest.Item]) -> list[pytest.Item]:
    if function.startswith(BUILDS):
        return cases[:1]
    last = len(cases) - 1
    return [cases[at] for at in sorted({last * part // (CASES - 1) for part in range(CASES)})]
