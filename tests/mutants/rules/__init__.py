"""The mutants: edits that each break one rule, which some test has to notice.

Where the same rule stands in C and in ``reference/``, each has a mutant of its own: the reference's
must be noticed by the contract tests alone, without its twin.
"""

from . import arrays, kernels, library, planning, programs, reference, reports, search
from .mutant import Mutant

__all__ = ["MUTANTS", "Mutant"]

MUTANTS = (
    *arrays.MUTANTS,
    *kernels.MUTANTS,
    *library.MUTANTS,
    *planning.MUTANTS,
    *programs.MUTANTS,
    *reference.MUTANTS,
    *reports.MUTANTS,
    *search.MUTANTS,
)
