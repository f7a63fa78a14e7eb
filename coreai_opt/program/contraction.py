"""One op that contracts a weight, and the matrices that the weight is to it."""

import math
from dataclasses import dataclass
from functools import cached_property

from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.program.axis_roles import Factor, Layout, Role
from coreai_opt.program.ir import Op

_GROUPS = (Role.BATCH,)
_ROWS = (Role.OUTPUT, Role.OUTPUT_TAP)
_COLUMNS = (Role.INPUT, Role.TAP)


@dataclass(frozen=True, eq=False)
class Contraction:
    """An op that multiplies a weight with something and sums, or looks rows of it up.

    Attributes:
        op: the op, a handle into the program.
        operand: which of its operands the weight is.
        activation: which one the weight is multiplied with; None where rows are looked up.
        layout: what each axis of the weight is to the op.
        calls: the ``coreai.invoke`` ops that the weight goes through to get to the op, outermost
            first; without any the two are in one graph.
        gather: the gather that selects which of the weight's matrices are multiplied, by its
            operand 1, the indices; None if all are.
        is_whole: the op takes all elements of the weight, and takes nothing beside them. It is
            false where the weight is sliced, padded, joined with others or scaled before.
    """

    op: Op
    operand: int
    activation: int | None
    layout: Layout
    calls: tuple[Op, ...]
    gather: Op | None
    is_whole: bool

    @cached_property
    def matrix_shape(self) -> tuple[int, int, int]:
        """How many matrices the weight is, and of how many rows and columns: ``[groups, N, K]``."""
        groups, rows, columns = (
            math.prod(factor.size or 0 for _, factor in self._of(roles))
            for roles in (_GROUPS, _ROWS, _COLUMNS)
        )
        return groups, rows, columns

    @cached_property
    def matrices(self) -> MatrixLayout:
        """How the weight is the matrices of :attr:`matrix_shape`.

        Groups are heads, experts, groups of a convolution. Rows are output channels; of a
        transposed convolution output channels × positions of its kernel. Columns are what is summed
        over: input channels × positions of a kernel, in the order in which the operand has them.
        """
        sizes = tuple(factor.size or 0 for axis in self.layout for factor in axis)
        order = tuple(place for roles in (_GROUPS, _ROWS, _COLUMNS) for place, _ in self._of(roles))
        return MatrixLayout(sizes, order, *self.matrix_shape)

    def _of(self, roles: tuple[Role, ...]) -> list[tuple[int, Factor]]:
        """Return the factors of these roles and their places, in the order of the operand."""
        factors = enumerate(factor for axis in self.layout for factor in axis)
        found = [(place, factor) for place, factor in factors if factor.role in roles]
        return sorted(found, key=lambda item: (item[1].axis, -item[1].stride))
