"""The mutants do not rot: each still says where it goes. ``make mutants`` runs them."""

import pytest

from .rules import MUTANTS, Mutant
from .rules.definitions import ROOT


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_applies(mutant: Mutant) -> None:
    assert mutant.apply() != (ROOT / mutant.file()).read_text()


def test_names_are_unique() -> None:
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS)
