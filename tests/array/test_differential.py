"""Both backends give the same bytes: any format, layout, values, memory layout, threads."""

from collections.abc import Callable

import numpy as np
import pytest

from coreai_opt import _native

from ..support.corpus import (
    LAYOUTS,
    SEARCHED_SPECS,
    SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Layout,
    Spec,
    bits_of,
    corpus,
    instruction_sets,
    random_finite_bits,
)
from ..support.same_bytes import assert_same_bytes


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_native_equals_reference(
    spec: Spec, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype in WEIGHT_DTYPES:
        for weight in corpus(layout, dtype):
            want = spec.quantize(weight, layout.block_sizes, "reference")
            for level in instruction_sets():
                monkeypatch.setenv("COREAI_OPT_ISA", level)
                assert_same_bytes(spec.quantize(weight, layout.block_sizes, "native"), want)


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("spec", SEARCHED_SPECS, ids=str)
def test_native_equals_reference_with_searched_scales(
    spec: Spec, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    dtype = WEIGHT_DTYPES[(SEARCHED_SPECS.index(spec) + LAYOUTS.index(layout)) % 3]
    for weight in corpus(layout, dtype):
        want = spec.quantize(weight, layout.block_sizes, "reference")
        for level in instruction_sets():
            monkeypatch.setenv("COREAI_OPT_ISA", level)
            assert_same_bytes(spec.quantize(weight, layout.block_sizes, "native"), want)


# Over 2**21 elements, which up to four threads share here; rows of an odd length, so that the
# boundaries between threads cut through bytes of packed codes.
THREADED = (
    Layout((1447, 1451), (0, 0)),
    Layout((1447, 1451), (1, 0)),
    Layout((1447, 1451), (0, 1)),
    Layout((2053, 1024), (1, 32)),
    Layout((1024, 2053), (32, 1)),
    Layout((2_099_599,), (0,)),
    Layout((33, 27, 2357), (3, 9, 1)),
)


@pytest.mark.parametrize("layout", THREADED, ids=str)
@pytest.mark.parametrize("spec", SPECS[::2], ids=str)  # each number of bits, scheme and scale dtype
def test_native_equals_reference_for_any_number_of_threads(
    spec: Spec, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1 << 19)
    dtype = WEIGHT_DTYPES[(SPECS.index(spec) + THREADED.index(layout)) % len(WEIGHT_DTYPES)]
    weight = np.random.default_rng(0).normal(0, 0.02, layout.shape).astype(dtype)
    want = spec.quantize(weight, layout.block_sizes, "reference")
    for num_threads in (1, 2, 3, 8):
        got = spec.quantize(weight, layout.block_sizes, "native", num_threads)
        assert_same_bytes(got, want)


def _unaligned(weight: Array) -> Array:
    flat = np.frombuffer(b"\0" + weight.tobytes(), np.uint8, offset=1)
    return flat.view(weight.dtype).reshape(weight.shape)


def _frozen(weight: Array) -> Array:
    frozen = weight.copy()
    frozen.flags.writeable = False
    return frozen


def _interleaved(weight: Array) -> Array:
    wide = np.full((*weight.shape[:-1], 2 * weight.shape[-1]), np.nan, weight.dtype)
    wide[..., ::2] = weight
    return wide[..., ::2]


# How the same numbers can lie in memory. Each returns an array equal to the one it is given.
MEMORY_LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "fortran order": np.asfortranarray,
    "transposed view": lambda weight: np.ascontiguousarray(weight.T).T,
    "every other element": _interleaved,
    "negative strides": lambda weight: weight[::-1, ::-1].copy()[::-1, ::-1],
    "broadcast axis": lambda weight: np.broadcast_to(weight[:1], weight.shape),
    "byte-swapped": lambda weight: weight.astype(weight.dtype.newbyteorder()),
    "unaligned": _unaligned,
    "read-only": _frozen,
}


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("in_memory", MEMORY_LAYOUTS)
def test_memory_layout_does_not_matter(in_memory: str, backend: str, dtype: DTypeLike) -> None:
    rng = np.random.default_rng(0)
    weight = np.stack([random_finite_bits(rng, (66,), dtype), rng.normal(size=66).astype(dtype)])
    weight = np.repeat(weight, 3, axis=0)
    view = MEMORY_LAYOUTS[in_memory](weight)
    contiguous = view.astype(dtype, order="C")
    before = bits_of(contiguous).copy()
    for spec in (*SPECS, Spec("int4", observer="mse")):
        for block_sizes in ((1, 33), (3, 1), (0, 0)):
            want = spec.quantize(contiguous, block_sizes, "reference")
            assert_same_bytes(spec.quantize(view, block_sizes, backend), want)
    assert (bits_of(view.astype(dtype, order="C")) == before).all(), "the input was changed"
