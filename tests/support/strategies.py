"""Hypothesis strategies for arrays to quantize."""

import math

from hypothesis import strategies as st

from .corpus import Layout


def _divisors(n: int) -> list[int]:
    return [0, *(d for d in range(1, n + 1) if n % d == 0)]


@st.composite
def layouts(draw: st.DrawFn) -> Layout:
    """Any shape of 1 to 5 axes and up to 300 elements, with any block sizes that divide it."""
    shape: list[int] = []
    for _ in range(draw(st.integers(1, 5))):
        shape.append(draw(st.integers(1, max(1, 300 // math.prod(shape)))))
    draw(st.randoms(use_true_random=False)).shuffle(shape)
    return Layout(tuple(shape), tuple(draw(st.sampled_from(_divisors(n))) for n in shape))
