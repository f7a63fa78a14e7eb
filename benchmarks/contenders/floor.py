"""The streaming floor: read the weight once, write as many bytes as the result has.

The reading is ``numpy.bitwise_or.reduce`` over the weight as uint64, the writing is a memset of a
new buffer: both run at the speed of memory. No function that reads a weight and returns a new
array can be much faster.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from cases import Case

DISTRIBUTIONS = ("numpy",)


def prepare(case: Case, weight: np.ndarray, threads: int) -> Callable[[], Any]:
    """See ``contenders``. Every thread reads and writes one share."""
    words = weight.reshape(-1).view(np.uint64)
    if threads == 1:
        return lambda: _stream(words, np.empty(case.result_bytes, np.uint8))
    pool = ThreadPoolExecutor(threads)

    def run() -> list[Any]:
        result = np.empty(case.result_bytes, np.uint8)
        shares = np.array_split(words, threads), np.array_split(result, threads)
        return list(pool.map(_stream, *shares))

    return run


def _stream(words: np.ndarray, result: np.ndarray) -> Any:
    np.bitwise_or.reduce(words)
    np.copyto(result, 1)
    return result
