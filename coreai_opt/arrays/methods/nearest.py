"""The method that observes a scale for each block, then rounds every element to nearest."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.settings.enums import DType
from coreai_opt.settings.spec import QuantizationSpec


def quantize(
    weight: npt.NDArray[Any],
    spec: QuantizationSpec,
    block_sizes: tuple[int, ...],
    backend: Backend,
    num_threads: int,
    *,
    importance: npt.NDArray[np.float32] | None,
) -> QuantizedArray:
    """See :class:`coreai_opt.arrays.methods.Method`."""
    packed, scale, zero_point = backend.quantize(weight, spec, block_sizes, importance, num_threads)
    return QuantizedArray(
        packed=packed,
        shape=weight.shape,
        dtype=DType(spec.format.name),
        weight_dtype=weight.dtype,
        scale=scale,
        zero_point=zero_point,
    )
