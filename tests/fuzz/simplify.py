"""A failing case made as small as can be: what is left is what matters."""

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .case import Case, as_hex

MOST_TO_CLEAR = 64
"""Elements that are tried one by one."""


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """Return a case that fails and of which no simpler one that is tried does."""
    while (simpler_one := next(filter(fails, simpler(case)), None)) is not None:
        case = simpler_one
    return case


def simpler(case: Case) -> Iterator[Case]:
    """Yield what is a step simpler, the boldest steps first."""
    usual = Case(case.source, case.shape, case.block_sizes, case.bits, case.dtype)
    for name in ("importance", "order", "steps", "offset", "swapped", "num_threads"):
        if getattr(case, name) != getattr(usual, name):
            yield dataclasses.replace(case, **{name: getattr(usual, name)})
    if len(case.block_sizes) == len(case.shape):
        yield from _shorter(case)
    yield from _with_fewer_numbers(case)


def _shorter(case: Case) -> Iterator[Case]:
    """Halves along each axis: whole blocks, or if there is just one, parts of it."""
    values = case.values()
    for axis, (n, size) in enumerate(zip(case.shape, case.block_sizes, strict=True)):
        step = size if 0 < size < n else 1
        half = n // step // 2 * step
        for kept in (slice(0, half), slice(half, n), slice(0, n - step), slice(step, n)):
            shorter = values[(slice(None),) * axis + (kept,)]
            if 0 < shorter.size < values.size:
                sizes = list(case.block_sizes)
                sizes[axis] = size if step == size else 0
                yield dataclasses.replace(
                    case,
                    shape=shorter.shape,
                    block_sizes=tuple(sizes),
                    bits=as_hex(shorter),
                    **_cut_importance(case, axis, kept),
                )


def _cut_importance(case: Case, axis: int, kept: slice) -> dict[str, Any]:
    """The importance's part that goes with a part of the weight."""
    h = case.importances()
    if h is None or len(h.shape) <= axis or h.shape[axis] != case.shape[axis]:
        return {}
    cut = h[(slice(None),) * axis + (kept,)]
    return {"importance": as_hex(cut), "importance_shape": cut.shape}


def _with_fewer_numbers(case: Case) -> Iterator[Case]:
    values = case.values()
    for i in np.flatnonzero(values)[:MOST_TO_CLEAR]:
        cleared = values.copy()
        cleared.reshape(-1)[i] = 0
        yield dataclasses.replace(case, bits=as_hex(cleared))
