"""New arrays that start where a vector of the processor does.

Kernels write large results past the caches, which takes such an address. They also read weights at
such an address a little faster. An array of ``numpy.empty`` starts 16 bytes behind one.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

ALIGNMENT = 64
"""Bytes of the longest vector, and of a line of a cache."""

LARGE = 1 << 16
"""Bytes from which on that matters; aligning takes 2 us."""


def empty(shape: int | tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Return an array as ``numpy.empty`` does, aligned to ``ALIGNMENT`` if it is ``LARGE``."""
    dtype = np.dtype(dtype)
    size = (shape if isinstance(shape, int) else math.prod(shape)) * dtype.itemsize
    if size < LARGE:
        return np.empty(shape, dtype)
    memory = np.empty(size + ALIGNMENT - 1, np.uint8)
    skipped = -memory.__array_interface__["data"][0] % ALIGNMENT
    return memory[skipped : skipped + size].view(dtype).reshape(shape)


def available_bytes() -> int | None:
    """Return how many bytes new arrays can take without swapping; None where it is not known."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(
            int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:")
        )
    except (OSError, StopIteration):
        return None
