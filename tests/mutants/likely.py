"""Guess which tests notice a mutant: those that share most of its rare words."""

import ast
import math
import re
from collections import Counter
from functools import cache

from .definitions import ROOT
from .table import Mutant

BUILDS = "tests/csrc"
"""Tests that compile the library themselves, during which forty others run: they are not likely."""

MANY = 40
"""How many tests are run in some seconds; in a sample of 19 mutants they had the killer of 14."""


def likely_tests(mutant: Mutant) -> list[str]:
    """Return the tests, of those that have to notice a mutant, that have most in common with it."""
    asked = _words(
        f"{mutant.rule} {mutant.where} {mutant.name} {mutant.place().file} {mutant.code}"
    )
    files = tuple(test for test in mutant.tests if test.startswith("tests/"))
    able = [test for test in _tests() if test.startswith(files) and not test.startswith(BUILDS)]
    commonness = _commonness()

    def likeness(test: str) -> float:
        said = _tests()[test]
        rare = sum(math.log(len(_tests()) / commonness[word]) for word in asked & said)
        return rare / (1 + math.log(1 + len(said)))

    return sorted(able, key=likeness)[: -MANY - 1 : -1]


@cache
def _tests() -> dict[str, frozenset[str]]:
    """Return the words of every test function and of its file's name."""
    tests = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        file, text = str(path.relative_to(ROOT)), path.read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                said = ast.get_source_segment(text, node) or ""
                tests[f"{file}::{node.name}"] = _words(f"{file} {said}")
    return tests


@cache
def _commonness() -> Counter[str]:
    """Return how many tests have each word."""
    return Counter(word for said in _tests().values() for word in said)


def _words(text: str) -> frozenset[str]:
    """Return what a text's words have in common with other forms of them."""
    apart = re.sub(r"([a-z])([A-Z])", r"\1 \2", text).lower()
    return frozenset(re.sub(r"(s|ed|ing)$", "", word) for word in re.findall(r"[a-z0-9]+", apart))
