"""The weights that are quantized: normal with the standard deviation of a trained layer."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

SIGMA = 0.02


@lru_cache(maxsize=1)
def make_weight(source: str, shape: tuple[int, ...]) -> npt.NDArray[np.generic]:
    """Return a weight; bfloat16 comes as its bits in uint16, which numpy has no dtype for."""
    generator = np.random.default_rng(0)
    weight = generator.standard_normal(shape, np.float32)
    weight *= SIGMA
    if source == "float16":
        return weight.astype(np.float16)
    if source == "bfloat16":
        return (weight.view(np.uint32) >> 16).astype(np.uint16)
    return weight
