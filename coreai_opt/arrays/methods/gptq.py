"""The method that rounds with feedback: columns make up for the errors of those before them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.feedback import Feedback
from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.settings.enums import DType
from coreai_opt.settings.spec import QuantizationSpec


@dataclass(frozen=True)
class Gptq:
    """Rounding with feedback, for a weight of which the inputs are known.

    Attributes:
        feedback: what is known of them.
        layout: the matrices that the weight is to them.
    """

    feedback: Feedback
    layout: MatrixLayout

    def quantize(
        self,
        weight: npt.NDArray[Any],
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        backend: Backend,
        num_threads: int,
        *,
        importance: npt.NDArray[np.float32] | None,
    ) -> QuantizedArray:
        """See :class:`coreai_opt.arrays.methods.Method`.

        Scales are those of the observer. Where it weighs errors and no importance is given, it
        takes that of the feedback.
        """
        if importance is None and spec.observer.uses_importance:
            importance = self.layout.spread(self.feedback.importance, weight.shape)
        parameters = backend.find_scales(weight, spec, block_sizes, importance, num_threads)
        parts = self.feedback.parts(self.layout)
        scale, zero_point = parameters
        return QuantizedArray(
            packed=backend.encode_with_feedback(weight, parameters, spec, parts, num_threads),
            shape=weight.shape,
            dtype=DType(spec.format.name),
            weight_dtype=weight.dtype,
            scale=scale,
            zero_point=zero_point,
        )
