"""What the array tests run over: every format, awkward shapes, awkward values.

Everything here is deterministic: the same case gives the same array on every machine.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt import Feedback, QuantizedArray, quantize_array
from coreai_opt.arrays import backends

Array = npt.NDArray[Any]
DTypeLike = np.dtype[Any]

F32, F16, BF16 = (np.dtype(t) for t in (np.float32, np.float16, ml_dtypes.bfloat16))
WEIGHT_DTYPES = (F32, F16, BF16)


class Spec(NamedTuple):
    """The arguments of ``quantize_array`` that say what a code and a scale are."""

    dtype: str
    qscheme: str = "symmetric"
    scale_dtype: str | None = None
    observer: str | None = None

    def __str__(self) -> str:
        return "-".join(filter(None, self))

    def quantize(
        self,
        weight: Array,
        block_sizes: Sequence[int],
        backend: str,
        num_threads: int = 1,
        *,
        importance: Array | None = None,
        feedback: Feedback | None = None,
    ) -> QuantizedArray:
        """Quantize ``weight`` as this spec says."""
        return quantize_array(
            weight,
            self.dtype,
            qscheme=self.qscheme,
            block_sizes=block_sizes,
            scale_dtype=self.scale_dtype,
            observer=self.observer or "minmax",
            importance=importance,
            feedback=feedback,
            backend=backend,
            num_threads=num_threads,
        )


INT_DTYPES = ("int2", "uint2", "int4", "uint4", "int8", "uint8")
E4M3_E8M0 = Spec("fp8_e4m3fn", scale_dtype="fp8_e8m0fnu")
E5M2_E8M0 = Spec("fp8_e5m2", scale_dtype="fp8_e8m0fnu")
E8M0_SPECS = (Spec("fp4_e2m1fn"), E4M3_E8M0, E5M2_E8M0)
EMAX = {"fp4_e2m1fn": 2, "fp8_e4m3fn": 8, "fp8_e5m2": 15}
"""The exponent of each of their largest numbers."""
FLOAT_SCALE_SPECS = (Spec("fp8_e4m3fn"), Spec("fp8_e5m2"))
SYMMETRIC_SPECS = tuple(Spec(dtype) for dtype in INT_DTYPES)
ASYMMETRIC_SPECS = tuple(Spec(dtype, "asymmetric") for dtype in INT_DTYPES)
SPECS = SYMMETRIC_SPECS + ASYMMETRIC_SPECS + FLOAT_SCALE_SPECS + E8M0_SPECS
"""Every allowed combination, with the observer MINMAX."""
MSE_SPECS = tuple(spec._replace(observer="mse") for spec in SPECS)
"""Every allowed combination, with the observer MSE."""
SEARCHED_SPECS = (*MSE_SPECS[:12:2], *MSE_SPECS[12:])
"""Of these one for each kind: the search sees signed and unsigned codes of some bits alike."""


class Layout(NamedTuple):
    """A shape and the blocks in it."""

    shape: tuple[int, ...]
    block_sizes: tuple[int, ...]

    def __str__(self) -> str:
        return "x".join(map(str, self.shape)) + "-by-" + "x".join(map(str, self.block_sizes))


# Around the widths of vectors and of unrolled loops, where heads and tails of loops go wrong.
WIDTHS = (1, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 256, 257)

LAYOUTS = (
    # One axis: one block, then several; lengths that 2- and 4-bit codes do not fill bytes with.
    *(Layout((n,), (0,)) for n in WIDTHS),
    *(Layout((3 * n,), (n,)) for n in (1, 5, 7, 11, 17, 31, 33, 64, 65, 129)),
    # Two axes: per tensor, per channel, blocks along the last axis; rows cross bytes.
    *(Layout((5, 7), sizes) for sizes in ((0, 0), (1, 0), (0, 1), (5, 1), (1, 7), (1, 1))),
    *(Layout((1, n), (1, 0)) for n in (1, 3, 13)),
    *(Layout((n, 1), (1, 0)) for n in (3, 13)),
    *(Layout((5, 2 * n), (1, n)) for n in (3, 7, 15, 16, 31, 32, 33, 63, 64, 65, 128, 257)),
    *(Layout((3, 7 * n), (1, n)) for n in (16, 32)),  # kernels take four or two blocks at once
    Layout((6, 35), (2, 7)),
    Layout((13, 17), (0, 0)),
    # Two axes, scales along an earlier one (matmul weights [in, out]): inner runs of any length.
    *(Layout((11, n), (0, 1)) for n in (1, 3, 7, 8, 9, 16, 17, 33, 65)),
    *(Layout((6, n), (3, 1)) for n in (1, 5, 7, 8, 9, 15, 16, 17, 31, 32, 33, 64, 65, 129)),
    Layout((96, 5), (32, 1)),
    Layout((64, 33), (32, 1)),
    # Three axes: heads, and lists with no name.
    *(
        Layout((3, 8, 5), sizes)
        for sizes in ((1, 0, 1), (1, 4, 1), (1, 1, 0), (0, 0, 0), (1, 1, 5))
    ),
    Layout((2, 64, 3), (1, 32, 1)),
    Layout((4, 6, 4), (2, 3, 2)),
    Layout((4, 5, 6), (2, 1, 3)),
    Layout((4, 3, 10), (2, 0, 5)),
    # Four axes and more: conv OIHW, depthwise, transposed conv IOHW, lists with no name.
    Layout((3, 64, 3, 3), (1, 32, 0, 0)),
    Layout((5, 64, 1, 1), (1, 32, 0, 0)),
    Layout((7, 3, 3, 3), (1, 0, 0, 0)),
    Layout((6, 1, 3, 3), (1, 0, 0, 0)),
    Layout((6, 5, 2, 2), (0, 1, 0, 0)),
    Layout((64, 3, 2, 2), (32, 1, 0, 0)),
    Layout((24, 1, 2, 2), (0, 1, 0, 0)),
    Layout((4, 4, 3, 4), (2, 1, 3, 2)),
    Layout((3, 4, 5, 6), (0, 1, 0, 1)),
    Layout((2, 4, 2, 3, 2), (1, 2, 0, 0, 0)),
)


def instruction_sets() -> tuple[str, ...]:
    """Return the instruction sets that the native backend can use here."""
    assert backends._native is not None, f"the native module: {backends._why_not_native}"
    return tuple(backends._native.levels())


def bits_of(array: Array) -> Array:
    """The bit patterns of an array of floating-point numbers, as unsigned integers."""
    return array.view(f"u{array.dtype.itemsize}")


def from_bits(bits: Any, dtype: DTypeLike) -> Array:
    """Floating-point numbers of the given bit patterns."""
    return np.asarray(bits, f"u{dtype.itemsize}").view(dtype)


def largest(dtype: DTypeLike) -> float:
    """The largest finite number of a weight dtype."""
    return float(ml_dtypes.finfo(dtype).max)


def positive_finite(dtype: DTypeLike) -> Array:
    """Every positive finite number of a 16-bit dtype, ascending: bit patterns 1, 2, 3, …"""
    return from_bits(np.arange(1, int(bits_of(np.array(largest(dtype), dtype))) + 1), dtype)


def random_finite_bits(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Finite numbers of which every bit pattern is equally likely."""
    top = int(bits_of(np.array(largest(dtype), dtype)))
    magnitudes = rng.integers(0, top + 1, shape)
    return from_bits(magnitudes + (rng.integers(0, 2, shape) << 8 * dtype.itemsize - 1), dtype)


Kind = Callable[[np.random.Generator, Sequence[int], DTypeLike], Array]


def _pick(*values: float) -> Kind:
    """Elements drawn from a few values."""
    return lambda rng, shape, dtype: rng.choice(np.array(values), shape).astype(dtype)


def _subnormals(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    tiny = int(bits_of(np.array(ml_dtypes.finfo(dtype).smallest_normal, dtype)))
    return from_bits(rng.integers(0, 2 * tiny, shape), dtype) * rng.choice([-1, 1], shape).astype(
        dtype
    )


def _smallest(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    return from_bits(rng.choice([0, 1, 2, 1 << 8 * dtype.itemsize - 1], shape), dtype)


def _dtype_maximum(signs: Sequence[float]) -> Kind:
    def draw(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
        factors = rng.choice([1, 1, 0.999, 0.9, 0.5, 1e-3], shape) * rng.choice(signs, shape)
        return (factors * largest(dtype)).astype(dtype)

    return draw


def _huge_range(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    info = ml_dtypes.finfo(dtype)
    exponents = rng.integers(int(info.minexp) - int(info.nmant), int(info.maxexp) - 1, shape)
    return np.ldexp(rng.uniform(-2, 2, shape), exponents).astype(dtype)


def _near_smallest_scale(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    smallest = 2.0**-24 if dtype == F16 else 2.0**-128
    return (rng.uniform(-4, 4, shape) * rng.choice([1, 10, 300], shape) * smallest).astype(dtype)


def _normal(sigma: float, offset: float = 0.0) -> Kind:
    return lambda rng, shape, dtype: rng.normal(offset, sigma, shape).astype(dtype)


def _spike(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    return (rng.normal(0, 1e-3, shape) * np.where(rng.random(shape) < 0.05, 1e4, 1)).astype(dtype)


def _halves(top: int) -> Kind:
    """Multiples of 1/2 up to ``top``: with the scale 1 every other one is a tie."""

    def draw(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
        values = rng.integers(-2 * top, 2 * top + 1, shape) / 2
        return np.where(rng.random(shape) < 0.3, top, values).astype(dtype)

    return draw


def _short_significands(rng: np.random.Generator, shape: Sequence[int], dtype: DTypeLike) -> Array:
    """Five-bit significands: halfway between neighbours of E5M2, E4M3 and E2M1."""
    return np.ldexp(rng.integers(-31, 32, shape), rng.integers(-14, 1, shape)).astype(dtype)


KINDS: tuple[Kind, ...] = (
    _normal(0.02),
    _pick(0.0),
    _pick(0.0, -0.0),
    _pick(0.3),
    _pick(-0.3),
    _normal(0.1, offset=2.0),
    _normal(0.1, offset=-2.0),
    _normal(0.1, offset=0.2),
    _subnormals,
    _smallest,
    _dtype_maximum((1,)),
    _dtype_maximum((-1,)),
    _dtype_maximum((1, -1)),
    _huge_range,
    _near_smallest_scale,
    _spike,
    *(_halves(top) for top in (1, 3, 7, 15, 127, 255)),
    _short_significands,
    # Either side of the significand at which E8M0 exponents round up.
    _pick(29 / 16, 1.0),
    _pick(-29 / 16 - 2.0**-6, 1.0),
    _pick(29 / 16 - 2.0**-6, -1.0),
    random_finite_bits,
)


def block_numbers(layout: Layout) -> Array:
    """For each element of a layout, the number of its block."""
    lengths = [size or n for n, size in zip(layout.shape, layout.block_sizes, strict=True)]
    coordinates = np.indices(layout.shape)
    blocks = [axis // length for axis, length in zip(coordinates, lengths, strict=True)]
    counts = [n // length for n, length in zip(layout.shape, lengths, strict=True)]
    return np.ravel_multi_index(blocks, counts)


def corpus(layout: Layout, dtype: DTypeLike) -> Iterator[Array]:
    """Arrays of a layout in whose blocks, taken together, every kind of values occurs.

    A layout of many blocks shows all kinds in one array, next to each other; one with a single
    block needs an array for each.
    """
    rng = np.random.default_rng(zlib.crc32(f"{layout} {dtype}".encode()))
    numbers = block_numbers(layout)
    count = int(numbers.max()) + 1
    drawn = np.stack([bits_of(kind(rng, layout.shape, dtype)) for kind in KINDS])
    for start in range(0, len(KINDS), count):
        kinds = (numbers + start) % len(KINDS)
        yield np.take_along_axis(drawn, kinds[np.newaxis], axis=0)[0].view(dtype)
