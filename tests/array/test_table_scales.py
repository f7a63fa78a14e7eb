"""Scales of blocks for look-up tables: by hand, at every level, and the error that they leave."""

import functools
import tracemalloc
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import Observer, PalettizedArray, _native, palettize_array
from coreai_opt.arrays import palettize as palettize_module
from coreai_opt.reference import table_scales
from coreai_opt.reference.blocks import scale_shape

from ..support.corpus import BF16, F16, F32, WEIGHT_DTYPES, Array, DTypeLike

F64 = np.float64


def fit(weight: Array, table: list[float], backend: str, importance: Array | None = None) -> Array:
    """Return a scale for each row."""
    tables, blocks = np.array([[table]], F32), (len(weight), 1)
    if backend == "reference":
        return table_scales.fit_scales(weight, tables, blocks, importance)
    return _native.fit_scales(weight, tables, blocks, importance=importance, num_threads=1)


FITTERS = ("reference", "native")


@pytest.mark.parametrize("fitter", FITTERS)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_multiples_of_the_table_have_their_factor(dtype: DTypeLike, fitter: str) -> None:
    table = [-0.5, 0.0, 0.25, 1.0]
    factors = np.array([[2.0], [0.125], [-4.0], [-1.0]])
    weight = (factors * np.array([1.0, 0.25, -0.5, 0, 0, 0.25])).astype(dtype)
    assert fit(weight, table, fitter).tolist() == factors.tolist()


@pytest.mark.parametrize("fitter", FITTERS)
def test_the_scale_is_the_weighed_least_squares_one(fitter: str) -> None:
    # All entries are 1 or -1 whatever the scale, so s is the weighed mean of magnitudes.
    weight, importance = np.array([[1, -2, 4, 1]], F32), np.array([[1, 2, 1, 4]], F32)
    assert fit(weight, [-1, 1], fitter).tolist() == [[2.0]]
    assert fit(weight, [-1, 1], fitter, importance).tolist() == [[13 / 8]]


@pytest.mark.parametrize("fitter", FITTERS)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_zeros_have_the_scale_one_and_nothing_has_zero(dtype: DTypeLike, fitter: str) -> None:
    tiny = float(ml_dtypes.finfo(dtype).smallest_subnormal)
    weight = np.array([[0, 0, -0.0], [tiny, 0, 0], [-tiny, tiny, 0]], dtype)
    scales = fit(weight, [-1, 1], fitter).astype(F64)
    assert scales[0] == 1
    assert (scales != 0).all()
    assert (fit(weight, [0, 0], fitter).astype(F64) != 0).all()


@pytest.mark.parametrize("fitter", FITTERS)
def test_the_largest_weight_lies_on_the_side_of_the_largest_entry(fitter: str) -> None:
    weight = np.array([[0.5, -3, 2, 0], [3, -3, 0.5, 0], [-2, 3, 1, 0]], F32)
    signs = np.sign(fit(weight, [-0.7, -0.2, 0.3, 1], fitter)).reshape(-1)
    assert signs.tolist() == [-1, 1, 1]


@pytest.mark.parametrize("fitter", FITTERS)
def test_of_starts_that_leave_as_much_error_the_first_is_taken(fitter: str) -> None:
    # 0.5 · -4 and 2 · -1 are both -2; the 6 becomes 0 either way. Lesser starts lead to 0.5.
    assert fit(np.array([[-2, 6, 0]], F32), [-7, -4, -1, 0], fitter).tolist() == [[0.5]]


# Shape, blocks that share a table and a scale, shape of an importance.
Layout = tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tuple[int, ...] | None]
LAYOUTS: tuple[Layout, ...] = (
    ((8, 64), (0, 0), (1, 32), None),
    ((8, 64), (4, 0), (1, 16), (1, 64)),
    ((8, 64), (0, 16), (1, 8), (8, 1)),
    ((8, 64), (0, 16), (4, 8), (8, 64)),
    ((3, 700), (1, 0), (1, 0), None),
    ((3, 700), (0, 0), (0, 0), (1, 700)),
    ((6, 4, 10), (0, 0, 0), (2, 1, 5), (1, 4, 10)),
    ((6, 4, 10), (0, 2, 0), (3, 1, 0), (6, 1, 1)),
    ((3, 4, 20), (1, 2, 0), (1, 1, 10), (1, 4, 20)),
    ((3, 20, 4), (1, 0, 2), (1, 10, 1), (1, 20, 1)),
    ((4, 3, 8), (2, 0, 4), (2, 1, 2), None),
)


@functools.cache  # for all levels
def by_reference(
    layout: Layout, dtype: DTypeLike, bits: int
) -> tuple[Array, Array | None, PalettizedArray]:
    shape, block_sizes, scale_sizes, varying = layout
    rng = np.random.default_rng([bits, *shape])
    weight = rng.standard_t(3, shape) * np.exp2(
        rng.integers(-5, 5, (shape[0], *[1] * (len(shape) - 1)))
    )
    weight = weight.astype(dtype)
    weight[0] = 0
    importance = None if varying is None else rng.random(varying).astype(F32) ** 4
    expected = palettize_array(
        weight,
        bits,
        block_sizes=block_sizes,
        scale_block_sizes=scale_sizes,
        observer="mse",
        importance=importance,
        backend="reference",
    )
    return weight, importance, expected


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_every_level_gives_the_references_bytes(
    layout: Layout, dtype: DTypeLike, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    for bits in (1, 3, 4, 6):
        weight, importance, expected = by_reference(layout, dtype, bits)
        found = palettize_array(
            weight,
            bits,
            block_sizes=layout[1],
            scale_block_sizes=layout[2],
            observer="mse",
            importance=importance,
            backend="native",
            num_threads=1 + bits % 3,
        )
        assert found.table.tobytes() == expected.table.tobytes()
        assert found.packed.tobytes() == expected.packed.tobytes()
        assert found.scale is not None
        assert expected.scale is not None
        assert found.scale.tobytes() == expected.scale.tobytes()


DRAWS = {
    "normal": lambda rng: rng.standard_normal(1 << 18),
    "student t": lambda rng: rng.standard_t(5, 1 << 18),
    "laplace": lambda rng: rng.laplace(size=1 << 18),
}
SQNR = {"normal": (22.3, 16.1), "student t": (21.4, 15.2), "laplace": (21.5, 15.3)}
"""What one table of 4 and of 3 bits and float16 scales of 32 weights reach at the least, in dB."""


def sqnr(weight: Array, palettized: PalettizedArray) -> float:
    error = weight.astype(F64) - palettized.dequantize().astype(F64)
    return float(10 * np.log10((weight.astype(F64) ** 2).sum() / (error**2).sum()))


@pytest.mark.parametrize("name", DRAWS)
def test_a_table_with_scales_of_blocks_is_as_good_as_is_said(name: str) -> None:
    weight = DRAWS[name](np.random.default_rng(7)).astype(F16).reshape(512, 512)
    for bits, least in zip((4, 3), SQNR[name], strict=True):
        searched = palettize_array(weight, bits, scale_block_sizes=(1, 32), observer="mse")
        plain = palettize_array(weight, bits, scale_block_sizes=(1, 32))
        assert sqnr(weight, searched) > least
        assert sqnr(weight, searched) > sqnr(weight, plain) + 0.3


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_the_largest_numbers_stay_finite(dtype: DTypeLike, backend: str) -> None:
    top = float(ml_dtypes.finfo(dtype).max)
    weight = (top * np.random.default_rng(0).uniform(-1, 1, (8, 32))).astype(dtype)
    weight[:, 0] = top
    for bits in (1, 4):
        decoded = palettize_array(
            weight, bits, scale_block_sizes=(1, 8), observer="mse", backend=backend
        ).dequantize()
        assert np.isfinite(decoded.astype(F32)).all()


@pytest.mark.parametrize("dtype", [BF16, F32], ids=str)
def test_numbers_that_do_not_count_may_be_far_larger_than_their_scale(
    dtype: DTypeLike, backend: str
) -> None:
    """Divided by the scale of the few and small ones that count, they would be infinite."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        magnitudes = np.exp(rng.uniform(-80, 80, (8, 32)))
        weight = (rng.uniform(-1, 1, (8, 32)) * magnitudes).astype(dtype)
        decoded = palettize_array(
            weight,
            2,
            scale_block_sizes=(1, 8),
            observer="mse",
            importance=np.eye(1, 32, dtype=np.float32),
            backend=backend,
        ).dequantize()
        assert np.isfinite(decoded.astype(F32)).all()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"observer": "best"}, "observer"),
        ({"observer": "mse"}, "observer"),
        ({"observer": "mse", "scale_block_sizes": (1, 4), "lut_dtype": "int8"}, "observer"),
        (
            {"observer": "mse", "scale_block_sizes": (4, 4), "block_sizes": (2, 0)},
            "scale_block_sizes",
        ),
        ({"observer": "mse", "scale_block_sizes": (0, 4), "block_sizes": (2, 0)}, "scale_block"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        palettize_array(np.ones((8, 8), F32), 4, **arguments)


@pytest.mark.parametrize(
    ("arguments", "bytes_per_element"),
    [
        ({}, 0),
        ({"block_sizes": (32, 0)}, 0),
        ({"block_sizes": (32, 0), "scale_block_sizes": (1, 32)}, 0),
        # Quotients by scales are float32; those that share a table are held together.
        ({"scale_block_sizes": (1, 32)}, 4),
        ({"scale_block_sizes": (1, 32), "observer": "mse"}, 4),
    ],
    ids=["tensor", "groups", "groups, block scales", "block scales", "searched block scales"],
)
def test_memory_beside_the_weight_and_the_result(
    arguments: dict[str, Any], bytes_per_element: int
) -> None:
    weight = np.random.default_rng(0).standard_normal((2048, 2048), np.float32).astype(np.float16)
    palettize_array(weight[:32], 4, **arguments)
    tracemalloc.start()
    try:
        palettized = palettize_array(weight, 4, **arguments, backend="native", num_threads=1)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - palettized.nbytes < bytes_per_element * weight.size + (40 << 20)


@pytest.mark.parametrize("observer", Observer)
@pytest.mark.parametrize("tables", [(0, 0), (4, 0), (0, 3)], ids=str)
@pytest.mark.parametrize("scales", [(1, 0), (0, 1), (6, 2), (4, 6), (0, 0)], ids=str)
def test_what_is_held_at_once_changes_no_byte(
    monkeypatch: pytest.MonkeyPatch, scales: tuple[int, int], tables: tuple[int, int], observer: str
) -> None:
    rng = np.random.default_rng(5)
    weight = rng.standard_normal((36, 18), np.float32) * np.exp2(rng.integers(-3, 4, (36, 1)))
    blocks = scale_shape(weight.shape, tables), scale_shape(weight.shape, scales)
    if observer == Observer.MSE and any(n % m for m, n in zip(*blocks, strict=True)):
        observer = Observer.MINMAX
    importance = rng.random((1, 18)).astype(np.float32)

    def palettize() -> bytes:
        found = palettize_array(
            weight.astype(np.float32),
            3,
            block_sizes=tables,
            scale_block_sizes=scales,
            observer=observer,
            importance=importance,
            backend="validate",
        )
        assert found.scale is not None
        return found.packed.tobytes() + found.table.tobytes() + found.scale.tobytes()

    whole = palettize()
    monkeypatch.setattr(palettize_module, "AT_ONCE", 1)
    assert palettize() == whole


def test_quotients_of_a_weight_are_not_held_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(6).standard_normal((512, 1024)).astype(np.float16)
    monkeypatch.setattr(palettize_module, "AT_ONCE", 1 << 14)
    tracemalloc.start()
    try:
        palettize_array(
            weight,
            4,
            block_sizes=(8, 0),
            scale_block_sizes=(1, 32),
            backend="native",
            num_threads=1,
        )
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < weight.size * np.dtype(np.float32).itemsize
