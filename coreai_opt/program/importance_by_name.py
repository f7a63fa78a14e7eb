"""Which weight of a program an importance belongs to, and along which axis."""

import difflib
import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.importance import parse_numbers
from coreai_opt.exceptions import ArgumentError, ArgumentTypeError
from coreai_opt.program.channel_axes import input_axes
from coreai_opt.program.weights import Weight


def match_importance(
    importance: object, weights: Sequence[Weight]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return importances by name of the weight, each in its weight's rank.

    Args:
        importance: the argument of ``quantize_weights``.
        weights: those that are to be quantized.

    Raises:
        TypeError, ValueError: a name that is no weight's, or an array that does not fit its weight.
    """
    if not isinstance(importance, Mapping):
        raise ArgumentTypeError(
            "importance",
            "importance must be a mapping from names of weights to arrays; "
            f"got {type(importance).__name__}",
        )
    by_name = {weight.name: weight for weight in weights}
    for name in importance:
        if name not in by_name:
            near = difflib.get_close_matches(str(name), by_name, cutoff=0)
            raise ArgumentError(
                "importance",
                f"importance names {name!r}, which is no weight that can be quantized; "
                f"near it: {', '.join(map(repr, near)) or 'none'}",
            )
    return {name: _fit(value, by_name[name]) for name, value in importance.items()}


def _fit(value: object, weight: Weight) -> npt.NDArray[np.float32]:
    """An array of one number per input channel, along the weight's input axes."""
    argument = f"importance[{weight.name!r}]"
    numbers, axes = parse_numbers(argument, value), input_axes(weight)
    if not axes:
        raise ArgumentError(
            argument, f"{argument}: a weight of shape {weight.shape} has no input channels"
        )
    lengths = [weight.shape[axis] for axis in axes]
    if numbers.shape != (math.prod(lengths),):
        which = f"axis {axes[0]}" if len(axes) == 1 else f"axes {axes}"
        raise ArgumentError(
            argument,
            f"{argument} must have one number for each input channel, shape "
            f"({math.prod(lengths)},): {which} of {weight.shape}; got shape {numbers.shape}",
        )
    spread = numbers.reshape(lengths).transpose(np.argsort(axes))
    shape = [length if axis in axes else 1 for axis, length in enumerate(weight.shape)]
    return spread.reshape(shape)
