"""Second moments of the inputs of a weight, factored, as rounding with feedback takes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.exceptions import ArgumentError, ArgumentTypeError
from coreai_opt.reference import Part
from coreai_opt.settings.arguments import parse_real

LONGEST_CHUNK = 4096
"""Columns up to which all make up for each other's errors; more are cut into chunks.

The factor of twice as many takes eight times the time and four times the memory: that of 65,536
columns 20 hours and 17 GB.
"""

_MOST_DAMPING = 1.0


@dataclass(frozen=True, eq=False)
class Feedback:
    """How the errors of columns that are rounded are fed back into those that are not yet.

    ``reference/feedback.py`` describes what is done with it. Columns are cut into chunks, each of
    which is rounded by itself.

    Attributes:
        order: which column is rounded first, second and so on, ``[groups, columns]``: those of the
            first chunk, then those of the second.
        coefficients: for each chunk, ``[groups, k, k]`` in the order of rounding, float32: element
            [k, i] is what the error of the i-th column adds to the k-th; 0 on and above the
            diagonal. It is the matrix A of the literature, transposed.
        importance: what a squared error of rounding counts in each column, D of the literature,
            ``[groups, columns]`` in the order of the weight, float32. Searching scales with
            ``observer="mse"`` takes it as the importance.
    """

    order: npt.NDArray[np.int64]
    coefficients: tuple[npt.NDArray[np.float32], ...]
    importance: npt.NDArray[np.float32]

    @classmethod
    def from_moments(
        cls,
        moments: npt.NDArray[Any] | Sequence[npt.NDArray[Any]],
        *,
        damping: float = 0.05,
    ) -> "Feedback":
        """Factor second moments of the inputs.

        Columns are rounded in the order of their inputs' mean squares, the largest first. A column
        whose input is always zero gets no feedback and gives none.

        Args:
            moments: H = mean of x·xᵀ over inputs x, ``[columns, columns]``, or ``[groups, columns,
                columns]``: symmetric, floating-point, finite. Of more than 4096 columns, blocks on
                the diagonal are used; a sequence of arrays ``[groups, k, k]`` gives only these, in
                the order of the columns.
            damping: what is added to the diagonal, in parts of its mean, from 0 to 1. Moments of
                few inputs have no factor without it. If they have none with it, it is raised
                tenfold until they have.

        Raises:
            ArgumentTypeError, ArgumentError: an argument that is not as described, or moments that
                have no factor even with a damping of 1: they are not positive semidefinite.
        """
        allowed = f"a number from 0 to {_MOST_DAMPING:g}"
        damping = parse_real("damping", damping, allowed, most=_MOST_DAMPING)
        factored = [_factor(chunk, damping) for chunk in _chunks(moments)]
        starts = np.cumsum([0, *(order.shape[1] for order, _, _ in factored[:-1])])
        pairs = zip(factored, starts, strict=True)
        return cls(
            order=np.concatenate([order + start for (order, _, _), start in pairs], axis=1),
            coefficients=tuple(coefficients for _, coefficients, _ in factored),
            importance=np.concatenate([importance for _, _, importance in factored], axis=1),
        )

    def parts(self, layout: MatrixLayout) -> list[Part]:
        """Return what of a weight is rounded by itself: each chunk of each group."""
        groups, rows, columns = layout.offsets()
        parts, start = [], 0
        for coefficients in self.coefficients:
            end = start + coefficients.shape[1]
            for group, order, own in zip(groups, self.order, coefficients, strict=True):
                parts.append(Part(group + rows, columns[order[start:end]], own))
            start = end
        return parts


def check_feedback(feedback: object, layout: MatrixLayout) -> None:
    """Raise ArgumentTypeError or ArgumentError if ``feedback`` does not fit a weight."""
    if not isinstance(feedback, Feedback):
        raise ArgumentTypeError(
            "feedback", f"feedback must be a Feedback or None; got {type(feedback).__name__}"
        )
    groups, columns = feedback.order.shape
    if (groups, columns) != (layout.groups, layout.columns):
        raise ArgumentError(
            "feedback",
            f"feedback is for {groups} matrices of {columns} columns; "
            f"the weight is {layout.groups} of {layout.columns}",
        )


def _chunks(moments: object) -> Iterator[npt.NDArray[Any]]:
    """Check the argument ``moments`` and cut it into ``[groups, k, k]`` of no more than 4096."""
    given = [moments] if isinstance(moments, np.ndarray) else moments
    if not isinstance(given, Sequence) or not given:
        raise ArgumentTypeError(
            "moments", f"moments must be an array or a sequence of such; got {moments!r}"
        )
    groups = set()
    for array in given:
        square = _parse_moments(array)
        groups.add(square.shape[0])
        for start in range(0, square.shape[1], LONGEST_CHUNK):
            own = slice(start, start + LONGEST_CHUNK)
            yield square[:, own, own]
    if len(groups) > 1:
        raise ArgumentError(
            "moments", f"moments must be of as many groups in each chunk; got {sorted(groups)}"
        )


def _parse_moments(array: object) -> npt.NDArray[Any]:
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        got: Any = getattr(array, "dtype", type(array).__name__)
        raise ArgumentTypeError(
            "moments", f"moments must be numpy arrays of floating-point numbers; got {got}"
        )
    square = array[np.newaxis] if array.ndim == 2 else array
    if square.ndim != 3 or square.shape[1] != square.shape[2] or not square.size:
        raise ArgumentError(
            "moments",
            "moments must be [columns, columns] or [groups, columns, columns], not empty; "
            f"got {array.shape}",
        )
    finite = np.isfinite(array)
    if not finite.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))
        raise ArgumentError(
            "moments", f"moments is {array[index]} at index {index}; it must be finite"
        )
    return square


Factored = tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.float32]]
"""Order, coefficients and importance of a chunk."""


def _factor(moments: npt.NDArray[Any], damping: float) -> Factored:
    """Factor one chunk, group by group."""
    groups, count, _ = moments.shape
    order = np.empty((groups, count), np.int64)
    coefficients = np.zeros((groups, count, count), np.float32)
    importance = np.empty((groups, count), np.float32)
    for group, square in enumerate(moments):
        order[group] = np.argsort(-square.diagonal(), kind="stable")
        ordered = square.take(order[group], axis=0).take(order[group], axis=1).astype(np.float64)
        upper = _upper_factor(ordered, damping)
        diagonal = upper.diagonal()
        for k in range(1, count):
            coefficients[group, k, :k] = upper[:k, k] / diagonal[k]
        squares = np.minimum(diagonal**2, np.finfo(np.float32).max)
        importance[group].put(order[group], squares.astype(np.float32))
    return order, coefficients, importance


def _upper_factor(moments: npt.NDArray[np.float64], damping: float) -> npt.NDArray[Any]:
    """Return R, upper triangular, with R·Rᵀ = ``moments``, damped; ``moments`` is changed.

    Both axes reversed, a lower factor is an upper one.
    """
    given = moments.diagonal().copy()
    mean = given.mean()
    diagonal = np.einsum("ii->i", moments)
    while True:
        damped = given + damping * mean
        diagonal[:] = np.where(damped == 0, 1.0, damped)
        try:
            return np.linalg.cholesky(moments[::-1, ::-1])[::-1, ::-1]
        except np.linalg.LinAlgError:
            if damping >= _MOST_DAMPING:
                raise ArgumentError(
                    "moments",
                    f"moments have no Cholesky factor with a damping of {damping:g}: they are "
                    "not symmetric and positive semidefinite",
                ) from None
            damping = min(max(10 * damping, 1e-6), _MOST_DAMPING)
