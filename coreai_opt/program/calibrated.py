"""Weights that a calibration has seen: rounded with feedback, where that makes outputs better."""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.compressed_array import CompressedArray
from coreai_opt.arrays.feedback import Feedback
from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.arrays.methods import Gptq
from coreai_opt.evaluation.calibrated_error import (
    CalibratedError,
    Moments,
    output_energy,
    output_noise,
)
from coreai_opt.evaluation.weight_error import decibels
from coreai_opt.settings.enums import Rounding
from coreai_opt.settings.spec import QuantizationSpec


class Seen(NamedTuple):
    """What a calibration has seen of a weight.

    Attributes:
        moments: the second moments of its inputs.
        layout: the matrices that it is to them.
    """

    moments: Moments
    layout: MatrixLayout


class Rounded(NamedTuple):
    """What a weight became.

    Attributes:
        array: the compressed array.
        rounding: how its codes were chosen; None where there is no choice.
        error: what rounding did to the outputs of the weight; None if no calibration has seen it.
        reason: why it was not rounded with feedback; or empty.
    """

    array: CompressedArray
    rounding: Rounding | None
    error: CalibratedError | None
    reason: str


class Feedbacks:
    """The feedback of moments; the last one is kept, because weights in a row often share it."""

    def __init__(self) -> None:
        self._last: tuple[Moments, Feedback] | None = None

    def of(self, moments: Moments) -> Feedback:
        """Return the feedback of moments.

        Raises:
            ArgumentError: the moments cannot be factored.
        """
        last = self._last
        if last is None or last[0] is not moments:
            self._last = last = moments, Feedback.from_moments(moments)
        return last[1]


def quantize_seen(
    weight: npt.NDArray[Any],
    spec: QuantizationSpec,
    block_sizes: tuple[int, ...],
    backend: Backend,
    num_threads: int,
    *,
    importance: npt.NDArray[np.float32] | None,
    seen: Seen,
    feedback: Feedback,
) -> Rounded:
    """Quantize a weight with feedback, or to nearest where that leaves less error of its outputs.

    Arguments and errors are those of :class:`coreai_opt.arrays.methods.Method`, and two more.

    Args:
        seen: what a calibration has seen of the weight.
        feedback: that of its moments.
    """
    method = Gptq(feedback, seen.layout)
    rounded = method.quantize(
        weight, spec, block_sizes, backend, num_threads, importance=importance
    )
    parameters = rounded.scale, rounded.zero_point
    nearest = replace(rounded, packed=backend.encode(weight, parameters, spec, num_threads))
    noise, nearest_noise = (
        output_noise(weight, array, seen.layout, seen.moments) for array in (rounded, nearest)
    )
    error = CalibratedError(output_energy(weight, seen.layout, seen.moments), noise, nearest_noise)
    if noise < nearest_noise:
        return Rounded(rounded, Rounding.GPTQ, error, "")
    reason = (
        f"rounded to nearest: with feedback outputs had an SQNR of {decibels(error.sqnr_db)}, "
        f"not above {decibels(error.nearest_sqnr_db)}"
    )
    return Rounded(nearest, Rounding.NEAREST, replace(error, noise=nearest_noise), reason)
