"""Numbers of unlike distributions, for look-up tables: a name, and a function of (rng, size)."""

import numpy as np

DISTRIBUTIONS = {
    "normal": lambda rng, size: 0.02 * rng.standard_normal(size),
    "student t": lambda rng, size: rng.standard_t(4, size),
    "laplace": lambda rng, size: rng.laplace(size=size),
    "cauchy": lambda rng, size: np.clip(rng.standard_cauchy(size), -6e4, 6e4),
    "spikes": lambda rng, size: 0.01 * rng.standard_normal(size) + rng.integers(0, 9, size),
    "mostly zero": lambda rng, size: rng.standard_normal(size) * (rng.random(size) < 0.1),
    "off center": lambda rng, size: 1 + 0.01 * rng.standard_normal(size),
}
