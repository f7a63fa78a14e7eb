"""Both backends give the same bytes or raise the same error, whatever hypothesis comes up with."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ..support.corpus import (
    SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Layout,
    Spec,
    bits_of,
    from_bits,
    instruction_sets,
)
from ..support.strategies import layouts


@st.composite
def bit_patterns(draw: st.DrawFn, layout: Layout, dtype: DTypeLike) -> Array:
    """A weight of raw bits, NaN and infinity included, or of neighbours of a few bit patterns."""
    bits, count = 8 * dtype.itemsize, math.prod(layout.shape)
    if draw(st.booleans()):
        raw = np.frombuffer(
            draw(st.binary(min_size=count * dtype.itemsize, max_size=count * dtype.itemsize)),
            f"u{dtype.itemsize}",
        )
    else:
        pool = draw(st.lists(st.integers(0, (1 << bits) - 1), min_size=1, max_size=4))
        seed = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
        steps = seed.integers(-2, 3, count) + (seed.integers(0, 2, count) << bits - 1)
        raw = (seed.choice(pool, count) + steps) % (1 << bits)
    if draw(st.integers(0, 3)):  # mostly finite: long arrays of any bits nearly always have a NaN
        infinity = int(bits_of(np.array(np.inf, dtype)))
        raw = np.where(raw & infinity == infinity, raw ^ (1 << bits - 2), raw)
    return from_bits(raw.reshape(layout.shape), dtype)


@st.composite
def cases(draw: st.DrawFn) -> tuple[Spec, Layout, Array]:
    layout = draw(layouts())
    dtype = draw(st.sampled_from(WEIGHT_DTYPES))
    return draw(st.sampled_from(SPECS)), layout, draw(bit_patterns(layout, dtype))


def outcome(spec: Spec, layout: Layout, weight: Array, backend: str) -> Any:
    """All that a backend answers, as something that compares by bytes."""
    try:
        result = spec.quantize(weight, layout.block_sizes, backend)
    except ValueError as error:
        return str(error)
    parts = (result.packed, result.scale, result.zero_point)
    return [(part.dtype, part.shape, part.tobytes()) for part in parts]


@settings(max_examples=1500, deadline=None)
@given(case=cases())
def test_native_and_reference_agree(case: tuple[Spec, Layout, Array]) -> None:
    want = outcome(*case, "reference")
    for level in instruction_sets():
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("COREAI_OPT_ISA", level)
            assert outcome(*case, "native") == want
