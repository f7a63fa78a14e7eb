"""The table of mutants does not rot: each still finds its place. ``make mutants`` runs them."""

import re

import pytest

from . import table
from .definitions import ROOT, Definition, in_c, in_python
from .run import remembered
from .table import MUTANTS, Mutant, pattern


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies(mutant: Mutant) -> None:
    file = ROOT / mutant.place().file
    text = file.read_text()
    broken = mutant.apply(text)
    assert broken != text
    if file.suffix == ".py":
        compile(broken, file, "exec")


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)


def test_no_two_break_one_rule_alike() -> None:
    names: dict[tuple[str, str], list[str]] = {}
    for mutant in MUTANTS:
        file = mutant.place().file
        key = file, mutant.apply((ROOT / file).read_text())
        names.setdefault(key, []).append(mutant.name)
    assert [alike for alike in names.values() if len(alike) > 1] == []


def test_the_tests_that_have_to_notice_exist() -> None:
    named = {test for mutant in MUTANTS for test in mutant.tests if test.startswith("tests/")}
    assert [test for test in named if not (ROOT / test.partition("::")[0]).exists()] == []


def test_the_tests_that_noticed_exist() -> None:
    """``make mutants`` writes down which test noticed a mutant, and there still is that test."""
    noticed = {test.partition("[")[0] for test in remembered().values()}
    gone = [test for test in sorted(noticed) if not re.search(_definition(test), _source(test))]
    assert gone == []


def _definition(test: str) -> str:
    return rf"(?m)^def {test.rpartition('::')[2]}\("


def _source(test: str) -> str:
    return (ROOT / test.partition("::")[0]).read_text()


def test_definitions_of_c() -> None:
    source = """
/* int none(void) { return 0; } */
#define TWICE(x) \\
    ((x) + (x))
typedef struct pair {
    int first, second;
} pair;
static const int TABLE[] = {1, 2};
int declared(int a);
#if 1
TARGET static int KERNEL(add)(const int (*get)(int), int a) {
    if (a) { return get(a); }
    return '}';
}
#endif
size_t *find(void)
{ return 0; }
"""
    assert [(name, text.split()[-1]) for name, _, text in in_c(source)] == [
        ("TWICE", "(x))"),
        ("pair", "pair;"),
        ("TABLE", "2};"),
        ("add", "}"),
        ("find", "}"),
    ]
    assert all(source[at:].startswith(text) for _, at, text in in_c(source))


def test_definitions_of_python_and_cython() -> None:
    source = '''
LIMIT: int = 3
class Work:
    """What is done."""
    cdef int parts
    def run(
        self,
    ) -> None:
        limit = 2

        def inner():
            pass
cdef inline int twice(int x) noexcept nogil:
    return x + x
'''
    found = {name: text for name, _, text in in_python(source)}
    assert list(found) == ["LIMIT", "Work", "Work.run", "Work.run.inner", "twice"]
    assert found["Work.run"].endswith("pass\n")
    assert found["Work"].endswith("pass\n")
    assert found["twice"].endswith("x + x\n")


@pytest.mark.parametrize(
    ("code", "stands"),
    [("(x + 1)", 1), ("(x+1)*x", 1), ("x", 3), ("turn", 0), ("return x", 0), ("y", 0)],
)
def test_code_is_found_by_its_words_and_signs(code: str, stands: int) -> None:
    text = "def f(x):\n    return (x\n      +1)*x\n"
    assert len(pattern(code).findall(text)) == stands


def test_a_replacement_is_indented_as_what_it_replaces(monkeypatch: pytest.MonkeyPatch) -> None:
    source = "if a:\n    run(\n        a)\n"
    definition = Definition("m.f", "m.py", 0, source)
    monkeypatch.setattr(table, "named", {"f": [definition]}.get)
    mutant = Mutant("area", "name", "f", "run(a)", "with a:\n    run(a)", "rule", ())
    assert mutant.apply(source) == "if a:\n    with a:\n        run(a)\n"
