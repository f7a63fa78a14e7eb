"""The argument ``importance``: how much the squared error of each element of a weight counts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError, Value


def check_observer(importance: object, *, is_used: bool) -> None:
    """Raise ArgumentError if there is an importance, but no observer that looks at it."""
    if importance is not None and not is_used:
        raise ArgumentError(
            "importance",
            Argument("importance"),
            " must be ",
            Value(None),
            " unless ",
            Argument("observer"),
            ' is "mse": MINMAX does not use it',
        )


def parse_importance(importance: object, shape: Sequence[int]) -> npt.NDArray[np.float32]:
    """Return an importance as a C-contiguous float32 array.

    Args:
        importance: an array of floating-point numbers, finite and >= 0.
        shape: of the weight; each axis of the importance must be as long, or 1.

    Raises:
        ArgumentTypeError, ArgumentError: ``importance`` is no such array.
    """
    values = parse_numbers("importance", importance)
    fits = values.ndim == len(shape) and all(
        n in {1, length} for n, length in zip(values.shape, shape, strict=True)
    )
    if not fits:
        raise ArgumentError(
            "importance",
            f"importance must have the weight's rank, and along each axis its length or 1: "
            f"got {values.shape} for shape {tuple(shape)}",
        )
    return values


def parse_numbers(argument: str, importance: object) -> npt.NDArray[np.float32]:
    """Return an importance of any shape as a C-contiguous float32 array.

    Raises:
        ArgumentTypeError, ArgumentError: ``importance`` is no such array.
    """
    if not isinstance(importance, np.ndarray) or not np.issubdtype(importance.dtype, np.floating):
        got: Any = getattr(importance, "dtype", type(importance).__name__)
        raise ArgumentTypeError(
            argument, f"{argument} must be a numpy array of floating-point numbers; got {got}"
        )
    with np.errstate(over="ignore", under="ignore"):
        values = np.ascontiguousarray(importance, np.float32).reshape(importance.shape)
    allowed = np.isfinite(values) & (values >= 0)
    if not allowed.all():
        index = tuple(int(i) for i in np.unravel_index(int(np.argmin(allowed)), values.shape))
        raise ArgumentError(
            argument,
            f"{argument} is {importance[index]} at index {index}; "
            "it must be >= 0 and finite in float32",
        )
    return values
