"""The least squared error, weighed or not, that any scale and zero point reach, block by block.

Nothing here is shared with what it is compared to: symmetric integers by going through every scale
at which a code changes, which is exact; all else by fine grids, which the real optimum may beat by
a little.
"""

import ml_dtypes
import numpy as np

from .corpus import Array

FLOAT_CODES = {"fp8_e4m3fn": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}


def least_error(blocks: Array, dtype: str, qscheme: str, importance: Array | None = None) -> Array:
    """Return the least error of each row of ``blocks``, float64.

    Args:
        blocks: the elements.
        dtype, qscheme: as in ``quantize_array``.
        importance: what each element's squared error counts; None stands for ones.
    """
    blocks = blocks.astype(np.float64)
    weights = np.broadcast_to(1.0 if importance is None else importance, blocks.shape)
    bits = int(dtype.removeprefix("u")[3:]) if dtype[0] in "ui" else 0
    if not bits:
        return _float(blocks, weights, dtype)
    if qscheme == "symmetric":
        ranges = {2: (2, 1), 4: (8, 7), 8: (127, 127)}[bits]
        return np.array(
            [
                min(_symmetric(b, h, *ranges), _symmetric(-b, h, *ranges))
                for b, h in zip(blocks, weights, strict=True)
            ]
        )
    return _asymmetric(blocks, weights, bits)


def _symmetric(block: Array, h: Array, below: int, above: int) -> float:
    """As 1 / scale grows, each code grows by one at (k - 1/2) / |w|, to -below or above at last.

    After each such event codes c are best decoded with Σ h·w·c / Σ h·c², which leaves
    Σ h·w² - (Σ h·w·c)² / Σ h·c².
    """
    block, h = block[(block != 0) & (h != 0)], h[(block != 0) & (h != 0)]
    magnitudes = np.abs(block)
    k = np.arange(1, below + 1)[:, np.newaxis]
    events = np.where(k <= np.where(block < 0, below, above), (k - 0.5) / magnitudes, np.inf)
    order = np.argsort(events.ravel())[: np.isfinite(events).sum()]
    shape = (below, len(magnitudes))
    products = np.cumsum(np.broadcast_to(h * magnitudes, shape).ravel()[order])
    squares = np.cumsum(np.broadcast_to(h * (2 * k - 1), shape).ravel()[order])
    return float(np.sum(h * magnitudes**2) - np.max(products**2 / squares, initial=0))


def _asymmetric(blocks: Array, h: Array, bits: int) -> Array:
    levels = 2**bits - 1
    lo, hi = np.minimum(blocks.min(axis=1), 0), np.maximum(blocks.max(axis=1), 0)
    total, best = np.sum(h * blocks**2, axis=1), np.full(len(blocks), np.inf)
    if bits == 8:  # all zero points would take hours
        middle = np.rint(-lo / (hi - lo) * levels)
        zeros = [np.clip(middle + d, 0, levels) for d in (*range(-2, 3), -24, -12, 12, 24)]
        steps = np.concatenate([np.arange(200, 262, 0.5), 262 * 1.05 ** np.arange(50)])
    else:
        zeros = [np.full(len(blocks), float(zero)) for zero in range(levels + 1)]
        steps = 0.75 * levels * 1.02 ** np.arange(230)
    for step in steps:
        scaled = np.rint(blocks * (step / (hi - lo))[:, np.newaxis])
        for zero in zeros:
            codes = np.clip(scaled, -zero[:, np.newaxis], (levels - zero)[:, np.newaxis])
            products, squares = np.sum(h * blocks * codes, axis=1), np.sum(h * codes**2, axis=1)
            best = np.minimum(best, total - products**2 / np.where(squares > 0, squares, 1))
    return best


def _float(blocks: Array, h: Array, dtype: str) -> Array:
    code_dtype = FLOAT_CODES[dtype]
    largest = float(ml_dtypes.finfo(code_dtype).max)
    absmax, best = np.abs(blocks).max(axis=1, keepdims=True), np.full(len(blocks), np.inf)
    for octaves in np.arange(-0.15, 1, 1 / 256):
        scale = absmax / largest * 2**octaves
        scaled = np.clip(blocks / scale, -largest, largest).astype(np.float32)
        decoded = scale * scaled.astype(code_dtype).astype(np.float64)
        best = np.minimum(best, np.sum(h * (blocks - decoded) ** 2, axis=1))
    return best
