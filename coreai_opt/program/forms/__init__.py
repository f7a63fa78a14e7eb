"""How a compressed weight is stored in a program: one module for each form, which reads and writes.

form        what there is to know of a form
operands    the constants that their ops are given
blockwise   codes, with a scale and a zero point for each block
table       indices into look-up tables, which may have scales
sparse      some elements, and a mask that says which, which may have scales
replacing   constants replaced by what decodes an array, and the way back
"""

from typing import Any

from coreai_opt.program.forms import blockwise, sparse, table
from coreai_opt.program.forms.form import Form
from coreai_opt.program.ir import Op

__all__ = ["FORMS", "form_of_array", "form_of_op"]

FORMS: tuple[Form[Any], ...] = (table, sparse, blockwise)
"""All forms. The first counts that decodes an op."""


def form_of_array(array: object) -> Form[Any]:
    """Return the form in which an array is stored.

    Raises:
        TypeError: there is none.
    """
    for form in FORMS:
        if form.stores(array):
            return form
    raise TypeError(f"no form stores a {type(array).__name__}")


def form_of_op(op: Op) -> Form[Any] | None:
    """Return the form that an op decodes, None if there is none."""
    return next((form for form in FORMS if form.decodes(op)), None)
