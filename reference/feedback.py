"""Rounding with feedback: columns make up for the errors of those that were rounded before.

A matrix W, one row for each output, is multiplied by activations x whose second moments H = E[x·xᵀ]
were measured by calibration. What rounding does to the outputs is tr(E·H·Eᵀ), E = W - W', in which
errors of single weights can cancel. So columns are rounded one after the other, and each is moved
by the errors of those before it (optimal brain quantization; GPTQ, Frantar et al., arXiv
2210.17323, in the form of QuIP, Chee et al., arXiv 2307.13304).

With the columns in the order of rounding, H = R·Rᵀ, R upper triangular, D = diag(R)² and A the
strictly upper part of R, each column divided by its diagonal element: tr(E·H·Eᵀ) is the sum over
columns of D_k · Σ (x_k - w'_k)², where x_k = w_k + Σ_{i<k} (w_i - w'_i) · A_ik. Rounding x_k to
nearest is the best that column k can do once those before it are fixed.

R depends on the linear algebra of the machine, so A and the order are inputs here.
"""

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from .blocks import to_elements
from .codes import CodeRange, decode, encode, widen
from .formats import Format
from .packing import pack
from .quantize import code_range

Array = npt.NDArray[Any]


class Part(NamedTuple):
    """A matrix of a weight that is rounded by itself, or columns of one.

    Element (r, k) of it is the weight's element rows[r] + columns[k], in C order.

    Attributes:
        rows: where each row begins, uintp.
        columns: what is added to that for each column, in the order of rounding, uintp.
        coefficients: A transposed, float32 ``[columns, columns]``: element [k, i] is what the error
            of the i-th column adds to the k-th. Only its strictly lower triangle is read.
    """

    rows: npt.NDArray[np.uintp]
    columns: npt.NDArray[np.uintp]
    coefficients: npt.NDArray[np.float32]


def encode_with_feedback(
    weight: Array,
    scale: Array,
    zero_point: Array,
    format: Format,
    *,
    symmetric: bool,
    observer: str = "minmax",
    parts: Iterable[Part],
) -> npt.NDArray[np.uint8]:
    """Round a weight with feedback, at scales that have been found, and pack the codes.

    Args:
        weight: array of dtype float32, float16 or bfloat16, finite.
        scale, zero_point: of each block, as ``quantize`` returns them for ``weight``, ``format``,
            ``symmetric`` and ``observer``.
        format: the format of the codes.
        symmetric, observer: say which codes there are.
        parts: what is rounded by itself; together all elements, each once.

    Returns:
        flat uint8 codes as Core AI stores them.
    """
    allowed = code_range(format, symmetric=symmetric, observer=observer)
    weights, scales, zero_points = (
        array.reshape(-1)
        for array in (
            weight,
            to_elements(scale, weight.shape),
            to_elements(zero_point, weight.shape),
        )
    )
    codes = np.empty(weight.size, format.code_dtype)
    for rows, columns, coefficients in parts:
        at = rows[:, np.newaxis] + columns
        codes[at] = round_columns(weights[at], scales[at], zero_points[at], allowed, coefficients)
    return pack(codes, format)


def round_columns(
    weights: Array,
    scales: Array,
    zero_points: Array,
    allowed: CodeRange,
    coefficients: npt.NDArray[np.float32],
) -> Array:
    """Return the codes of columns that are given in the order of rounding.

    All arithmetic is IEEE binary32. Each product and each sum is rounded, and the terms of x_k are
    added to w_k in the order of rounding, so that codes do not depend on how the work is cut.

    Where x_k is not finite, or what its code decodes to would not be (an infinity of the weight's
    dtype), the weight is rounded without feedback: x_k = w_k.

    Args:
        weights: ``[rows, columns]``, of dtype float32, float16 or bfloat16.
        scales, zero_points: of each element's block, as they are stored, ``[rows, columns]``.
        allowed: the codes that there are.
        coefficients: see :class:`Part`.
    """
    codes = np.empty(weights.shape, allowed.format.code_dtype)
    sums = widen(weights)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(weights.shape[1]):
            weight, scale, zero_point = weights[:, k], scales[:, k], zero_points[:, k]
            x = np.where(np.isfinite(sums[:, k]), sums[:, k], widen(weight))
            decoded = decode(encode(x, scale, zero_point, allowed), scale, zero_point, weight.dtype)
            x = np.where(np.isfinite(decoded), x, widen(weight))
            codes[:, k] = encode(x, scale, zero_point, allowed)
            decoded = decode(codes[:, k], scale, zero_point, weight.dtype)
            error = widen(weight) - widen(decoded)
            sums[:, k + 1 :] += error[:, np.newaxis] * coefficients[k + 1 :, k]
    return codes
