"""One op that contracts a weight, and the matrices that the weight is to it."""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.program.axis_roles import Factor, Layout, Role
from coreai_opt.program.ir import Op, Value

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

    @property
    def input(self) -> Value | None:
        """What the weight is multiplied with, None where rows are looked up."""
        return None if self.activation is None else self.op.operands[self.activation]

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
        return MatrixLayout(tuple(self._factor_sizes), tuple(self._order), *self.matrix_shape)

    def as_matrices(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the weight as matrices ``[groups, N, K]``, a copy where axes have to be turned.

        Groups are heads, experts, groups of a convolution. Rows are output channels; of a
        transposed convolution output channels × positions of its kernel. Columns are what is summed
        over: input channels × positions of a kernel, in the order in which the operand has them.

        Args:
            array: of the weight's shape.
        """
        factors = array.reshape(self._factor_sizes)
        return factors.transpose(self._order).reshape(self.matrix_shape)

    def from_matrices(self, matrices: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return what :meth:`as_matrices` made matrices ``[groups, N, K]`` of, or would have."""
        sizes = self._factor_sizes
        factors = matrices.reshape([sizes[place] for place in self._order])
        shape = [math.prod(factor.size or 0 for factor in axis) for axis in self.layout]
        return factors.transpose(np.argsort(self._order)).reshape(shape)

    @property
    def _factor_sizes(self) -> list[int]:
        return [factor.size or 0 for axis in self.layout for factor in axis]

    @cached_property
    def _order(self) -> list[int]:
        return [place for roles in (_GROUPS, _ROWS, _COLUMNS) for place, _ in self._of(roles)]

    def _of(self, roles: tuple[Role, ...]) -> list[tuple[int, Factor]]:
        """Return the factors of these roles and their places, in the order of the operand."""
        factors = enumerate(factor for axis in self.layout for factor in axis)
        found = [(place, factor) for place, factor in factors if factor.role in roles]
        return sorted(found, key=lambda item: (item[1].axis, -item[1].stride))
