"""What each weight of a program is to become."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.program.candidates import Weight
from coreai_opt.program.importance import match_importance
from coreai_opt.settings import Settings


class Job(NamedTuple):
    """A weight to quantize.

    Attributes:
        weight: the weight.
        settings: what to turn it into.
        importance: what squared errors count, in the rank of the weight; None for all alike.
    """

    weight: Weight
    settings: Settings
    importance: npt.NDArray[np.float32] | None


def make_jobs(weights: list[Weight], settings: Settings, importance: object) -> list[Job]:
    """Return the jobs that arguments of ``quantize_weights`` ask for, in the order of ``weights``.

    Args:
        weights: the weights of a program.
        settings: what to turn them into.
        importance: the argument.

    Raises:
        TypeError, ValueError: ``importance`` does not fit the weights.
    """
    if importance is None:
        return [Job(weight, settings, None) for weight in weights]
    found = match_importance(importance, weights)
    return [Job(weight, settings, found.get(weight.name)) for weight in weights]
