"""Threads that stay: starting one takes longer than quantizing a small weight."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import pairwise
from typing import TypeVar

Result = TypeVar("Result")


@cache
def pool() -> ThreadPoolExecutor:
    """Return the threads; they are started when they are first needed."""
    return ThreadPoolExecutor(thread_name_prefix="coreai_opt")


# A child process has none of its parent's threads.
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.cache_clear)


def in_parallel(work: Callable[[int, int], Result], bounds: list[int]) -> list[Result]:
    """Call ``work`` from each bound to the next, all at the same time, and return the results.

    This thread does the last part itself. ``work`` must not use the pool.
    """
    *others, own = pairwise(bounds)
    futures = [pool().submit(work, *part) for part in others]
    result = work(*own)
    return [*(future.result() for future in futures), result]
