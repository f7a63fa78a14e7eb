"""Rounding with feedback: columns that are not yet rounded make up for the errors of those that are.

A matrix W, one row for each output, is multiplied by activations x whose second moments H = E[x·xᵀ]
were measured by calibration. What rounding does to the outputs is tr(E·H·Eᵀ), E = W - W', which is
more than the errors of single weights: they can cancel. So columns are rounded one after the other,
and each is moved by the errors of those before it (optimal brain quantization; GPTQ, Frantar et al.,
arXiv 2210.17323, in the form of QuIP, Chee et al., arXiv 2307.13304).

With the columns in the order of rounding, H = R·Rᵀ, R upper triangular, D = diag(R)² and A the
strictly upper part of R / diag(R), column by column: the sum is Σ_k D_k · Σ_rows (x_k - w'_k)²,
where x_k = w_k + Σ_{i<k} (w_i - w'_i) · A_ik, so that rounding x_k to nearest is the best that can
be done for column k once those before it are fixed.

R depends on the linear algebra of the machine, so A and the order are inputs here.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .codes import CodeRange, decode, encode, widen

Array = npt.NDArray[Any]


def round_with_feedback(
    weights: Array,
    scales: Array,
    zero_points: Array,
    codes: CodeRange,
    order: npt.NDArray[np.int64],
    coefficients: npt.NDArray[np.float32],
) -> Array:
    """Return the codes of a matrix, rounded with feedback at scales that have been found.

    All arithmetic is IEEE binary32. Each product and each sum is rounded, and the terms of x_k are
    added to w_k in the order of rounding, so that the codes do not depend on how the work is cut.

    Where x_k is not finite, or what its code decodes to would not be (an infinity of the weight's
    dtype), the weight is rounded without feedback: x_k = w_k.

    Args:
        weights: ``[rows, columns]``, of dtype float32, float16 or bfloat16.
        scales: of each element's block, as they are stored, in the shape of ``weights``.
        zero_points: of each element's block, as they are stored, in the shape of ``weights``.
        codes: the codes that there are.
        order: which column is rounded first, second and so on, ``[k]``: all columns, or some, of
            which the others are left out.
        coefficients: A transposed, ``[k, k]`` in the order of rounding: element [k, i] is what the
            error of the i-th column adds to the k-th. Only its strictly lower triangle is read.

    Returns:
        codes of the columns in ``order``, ``[rows, k]``, as they are stored.
    """
    weights, scales, zero_points = weights[:, order], scales[:, order], zero_points[:, order]
    rounded = np.empty(weights.shape, codes.format.code_dtype)
    sums = widen(weights)
    with np.errstate(over="ignore", invalid="ignore"):
        for k in range(len(order)):
            weight, scale, zero_point = widen(weights[:, k]), scales[:, k], zero_points[:, k]
            x = np.where(np.isfinite(sums[:, k]), sums[:, k], weight)
            decoded = decode(encode(x, scale, zero_point, codes), scale, zero_point, weights.dtype)
            x = np.where(np.isfinite(decoded), x, weight)
            rounded[:, k] = encode(x, scale, zero_point, codes)
            error = weight - widen(decode(rounded[:, k], scale, zero_point, weights.dtype))
            sums[:, k + 1 :] += error[:, np.newaxis] * coefficients[k + 1 :, k]
    return rounded
