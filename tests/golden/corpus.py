"""The golden corpus: weights that any machine can make, and digests of what they are quantized to
and what that decodes to.

The weights are made by integers alone, from a counter, so that C and Python make the same ones;
``weights.h`` is the twin of the first half of this file. ``table.h`` lists the cases with their
digests, which are computed from the reference, and is what the C program reads. A change of the
contract is a change of that file:

    python tests/golden/corpus.py
"""

import functools
import hashlib
import itertools
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt import reference
from coreai_opt.reference import FORMATS, Format

Array = npt.NDArray[Any]
Quantize = Callable[..., tuple[Array, Array, Array]]
"""``reference.quantize`` or ``_native.quantize``."""
Decode = Callable[[Array, Array, Array, Format, Array], None]
"""Into the last argument: :func:`decode`, or ``_native.dequantize``."""
Feed = Callable[..., Array]
"""``reference.encode_with_feedback`` or ``_native.encode_with_feedback``."""

TABLE = Path(__file__).with_name("table.h")


@dataclass(frozen=True)
class Source:
    """A type of weights: the bits of its significand and exponent."""

    name: str
    dtype: np.dtype[Any]
    mantissa: int
    bias: int
    top: int
    """Bits of the largest finite number."""


SOURCES = (
    Source("F32", np.dtype(np.float32), 23, 127, 0x7F7FFFFF),
    Source("F16", np.dtype(np.float16), 10, 15, 0x7BFF),
    Source("BF16", np.dtype(ml_dtypes.bfloat16), 7, 127, 0x7F7F),
)


# The generator. Numbers are handled as magnitudes: bits without the sign.


def random_bits(counter: int) -> int:
    """64 bits: the counter-th output of splitmix64 (Steele, Lea and Flood, 2014)."""
    mask = (1 << 64) - 1
    z = (counter + 1) * 0x9E3779B97F4A7C15 & mask
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & mask
    z = (z ^ z >> 27) * 0x94D049BB133111EB & mask
    return z ^ z >> 31


def encode(source: Source, integer: int, exponent: int) -> int:
    """integer · 2^exponent, truncated to the source's precision; at most its largest number."""
    if integer == 0:
        return 0
    least = 1 - source.bias - source.mantissa  # exponent of the step of subnormals
    shift = max(integer.bit_length() - source.mantissa - 1, least - exponent)
    shifted = integer >> shift if shift >= 0 else integer << -shift
    # A normal number's leading bit counts as one more in the exponent.
    return min(shifted + (exponent + shift - least << source.mantissa), source.top)


def normal(source: Source, random: int, exponent: int, offset: int) -> tuple[bool, int]:
    """About normal, σ = 37837 · 2^exponent: the sum of four uniform integers."""
    total = sum(random >> shift & 0xFFFF for shift in (0, 16, 32, 48)) - 2 * 0xFFFF + offset
    return total < 0, encode(source, abs(total), exponent)


def signed(magnitude: Callable[..., int]) -> Callable[..., tuple[bool, int]]:
    """Let the highest random bit be the sign."""

    def with_sign(source: Source, random: int, a: int, b: int) -> tuple[bool, int]:
        return bool(random >> 63), magnitude(source, random, a, b)

    with_sign.__name__ = magnitude.__name__
    return with_sign


@signed
def any_finite(source: Source, random: int, a: int, b: int) -> int:
    """Any finite number, each bit pattern as likely as any other."""
    return random % (source.top + 1)


@signed
def smallest(source: Source, random: int, count: int, b: int) -> int:
    """The smallest numbers from zero on."""
    return random % count


@signed
def subnormal(source: Source, random: int, a: int, b: int) -> int:
    """Subnormals, and normal numbers of the first binade."""
    return random % (2 << source.mantissa)


@signed
def largest(source: Source, random: int, a: int, b: int) -> int:
    """The largest number, and those within two binades of it."""
    return source.top - (0 if random & 3 == 0 else (random >> 8) % (2 << source.mantissa))


@signed
def threshold(source: Source, random: int, ulps: int, b: int) -> int:
    """A significand of 29/16, at which E8M0 exponents go up, and ulps; and smaller numbers."""
    edge = (source.bias - 3 << source.mantissa) + (13 << source.mantissa - 4) + ulps
    return edge - (0 if random & 1 else (random >> 8) % (8 << source.mantissa))


@signed
def multiple(source: Source, random: int, most: int, step: int) -> int:
    """Multiples of step / 2 up to ``most`` times that: with the scale ``step``, codes and ties."""
    return encode(source, step * (most if random & 3 == 0 else (random >> 8) % (most + 1)), -1)


@signed
def short_significand(source: Source, random: int, a: int, b: int) -> int:
    """448, and five-bit significands: codes of E2M1, E4M3 and E5M2, and ties between them."""
    if random & 3 == 0:
        return encode(source, 448, 0)
    return encode(source, (random >> 8) % 32, -((random >> 16) % 14))


KINDS: tuple[tuple[Callable[..., tuple[bool, int]], int, int], ...] = (
    (normal, -21, 0),
    (normal, -15, 0),
    (normal, -30, 0),
    (normal, -21, 200_000),
    (normal, -21, -200_000),
    (any_finite, 0, 0),
    (smallest, 1, 0),
    (smallest, 32, 0),
    (subnormal, 0, 0),
    (largest, 0, 0),
    (threshold, -1, 0),
    (threshold, 0, 0),
    (threshold, 1, 0),
    # Q of 2, 4 and 8 bits, L of 2, 4 and 8 bits, and scales whose reciprocals are not exact.
    *((multiple, most, 1) for most in (2, 14, 254, 3, 15, 255)),
    (multiple, 254, 3),
    (multiple, 254, 7),
    (multiple, 255, 7),
    (short_significand, 0, 0),
)
"""What a block of weights can be, with the two parameters of the function that draws one."""


@dataclass(frozen=True)
class Layout:
    """A shape and its blocks."""

    name: str
    shape: tuple[int, ...]
    block_sizes: tuple[int, ...]

    def lengths(self) -> list[int]:
        return [size or n for n, size in zip(self.shape, self.block_sizes, strict=True)]

    def block_of(self, element: int) -> int:
        """The number of the block, in C order, that an element of the flat weight is in."""
        block, stride = 0, 1
        for n, length in reversed(list(zip(self.shape, self.lengths(), strict=True))):
            block += element % n // length * stride
            stride *= n // length
            element //= n
        return block

    def blocks(self) -> int:
        return math.prod(self.shape) // math.prod(self.lengths())


# Odd sizes, so that rows, blocks and vectors end within a byte or a vector.
LAYOUTS = (
    Layout("per tensor", (9, 15), (0, 0)),
    Layout("per channel, odd rows", (25, 35), (1, 0)),
    Layout("per channel, long rows", (2, 1031), (1, 0)),
    Layout("per channel of the last axis", (19, 45), (0, 1)),
    Layout("blocks along the last axis", (12, 64), (1, 32)),
    Layout("odd blocks along the last axis", (5, 35), (1, 7)),
    Layout("blocks along an earlier axis", (64, 35), (32, 1)),
    Layout("blocks along an earlier axis of heads", (3, 32, 9), (1, 32, 1)),
    Layout("convolution, blocks of input channels", (5, 32, 3, 3), (1, 16, 0, 0)),
    Layout("transposed convolution, per channel", (8, 25, 2, 2), (0, 1, 0, 0)),
    Layout("every element a block", (7, 5), (1, 1)),
    Layout("general", (4, 6, 6, 4), (2, 3, 2, 2)),
)


SEARCHED = {
    "blocks along the last axis": SOURCES,
    "per channel, odd rows": SOURCES[:1],
    "blocks along an earlier axis": SOURCES[:1],
    "convolution, blocks of input channels": SOURCES[:1],
}
"""The layouts that are quantized with the observer MSE, too, and from which types: the search is
slow, and between them these take each way through it."""


LONGEST_FED = 64
"""Longer long axes are not rounded with feedback, because microcontrollers run the corpus."""


@functools.cache
def arrays(source: Source, layout: Layout) -> list[Array]:
    """Weights of a layout. Neighbouring blocks are of different kinds; a layout of fewer blocks
    than kinds has several arrays, so that every kind occurs in one.
    """
    found = []
    for first in range(0, len(KINDS), layout.blocks()):
        bits = []
        for element in range(math.prod(layout.shape)):
            draw, a, b = KINDS[(first + layout.block_of(element)) % len(KINDS)]
            negative, magnitude = draw(source, random_bits((first << 32) + element), a, b)
            bits.append(magnitude | negative << 8 * source.dtype.itemsize - 1)
        unsigned = np.array(bits, f"u{source.dtype.itemsize}")
        found.append(unsigned.view(source.dtype).reshape(layout.shape))
    return found


def long_axis(layout: Layout) -> int:
    """The first axis along which blocks are long, or the last axis."""
    long = (axis for axis, length in enumerate(layout.lengths()) if length > 1)
    return next(long, len(layout.shape) - 1)


def importance(layout: Layout) -> Array:
    """Importances of the indices of the long axis; zero is one."""
    axis = long_axis(layout)
    numbers = [random_bits(index) % 4096 for index in range(layout.shape[axis])]
    shape = [1] * len(layout.shape)
    shape[axis] = -1
    return np.array(numbers, np.float32).reshape(shape)


def fed_part(layout: Layout) -> reference.Part:
    """Feedback from the last to the first index of the long axis, for all others alike."""
    axis = long_axis(layout)
    elements = np.arange(math.prod(layout.shape), dtype=np.uintp).reshape(layout.shape)
    rows = np.take(elements, 0, axis).reshape(-1)
    columns = np.moveaxis(elements, axis, -1).reshape(-1, layout.shape[axis])[0, ::-1]
    count = len(columns)
    numbers = [random_bits(index) % 4096 - 2048 for index in range(count * count)]
    coefficients = (np.array(numbers, np.float32) / np.float32(4096)).reshape(count, count)
    return reference.Part(rows, np.ascontiguousarray(columns), coefficients)


# The cases.


def little_endian(numbers: Array) -> bytes:
    """Their bytes; through integers, because not every dtype of ml_dtypes can be swapped."""
    bits = numbers.view(f"u{numbers.itemsize}")
    return bits.astype(bits.dtype.newbyteorder("<")).tobytes()


def decode(packed: Array, scale: Array, zero_point: Array, format: Format, out: Array) -> None:
    """The reference's decoding, into ``out``."""
    out[...] = reference.dequantize(packed, scale, zero_point, format, out.shape, out.dtype)


@dataclass(frozen=True)
class Case:
    """A type of weights, a layout and a target: a line of the table."""

    source: Source
    layout: Layout
    format: Format
    symmetric: bool
    e8m0_scale: bool
    mse: bool = False
    weighed: bool = False
    """By :func:`importance`."""
    fed: bool = False
    """Rounded with the feedback of :func:`fed_part`."""

    def digest(
        self,
        quantize: Quantize = reference.quantize,
        decode: Decode = decode,
        feed: Feed = reference.encode_with_feedback,
        **more: Any,
    ) -> str:
        """SHA-256 over packed codes, scales (little-endian) and zero points of all arrays, and what
        they decode to in each type.
        """
        sha = hashlib.sha256()
        for weight in arrays(self.source, self.layout):
            packed, scale, zero_point = quantize(
                weight,
                self.format,
                symmetric=self.symmetric,
                block_sizes=self.layout.block_sizes,
                e8m0_scale=self.e8m0_scale,
                observer="mse" if self.mse else "minmax",
                importance=importance(self.layout) if self.weighed else None,
                **more,
            )
            if self.fed:
                packed = feed(
                    weight,
                    scale,
                    zero_point,
                    self.format,
                    symmetric=self.symmetric,
                    observer="mse" if self.mse else "minmax",
                    parts=[fed_part(self.layout)],
                    **more,
                )
            sha.update(packed.tobytes())
            sha.update(little_endian(scale))
            sha.update(zero_point.tobytes())
            for source in SOURCES:
                out = np.empty(weight.shape, source.dtype)
                decode(packed, scale, zero_point, self.format, out)
                sha.update(little_endian(out))
        return sha.hexdigest()

    def line(self, digest: str) -> str:
        """The case as the table has it."""

        def bracketed(numbers: Sequence[int]) -> str:
            return "(" + ", ".join(map(str, numbers)) + ")"

        fields = (
            self.source.name,
            self.format.name.upper(),
            "SYMMETRIC" if self.symmetric else "ASYMMETRIC",
            "SCALE_E8M0" if self.e8m0_scale else "SCALE_AS_WEIGHT",
            "MSE" if self.mse else "MINMAX",
            "FED" if self.fed else "WEIGHED" if self.weighed else "EQUAL",
            str(len(self.layout.shape)),
            bracketed(self.layout.shape),
            bracketed(self.layout.block_sizes),
            f'"{digest}"',
        )
        return f"GOLDEN({', '.join(fields)})"


def targets() -> list[tuple[Format, bool, bool]]:
    """Every (format, symmetric, e8m0_scale) that is allowed."""
    integers = [f for f in FORMATS.values() if f.is_int]
    floats = [f for f in FORMATS.values() if not f.is_int]
    return [
        *((f, symmetric, False) for f in integers for symmetric in (True, False)),
        *((f, True, e8m0) for f in floats for e8m0 in (False, True) if e8m0 or f.bits == 8),
    ]


def cases(layout: Layout) -> Iterator[Case]:
    """The cases of a layout, in the order of the table."""
    for source, target in itertools.product(SOURCES, targets()):
        yield Case(source, layout, *target)
    for source, target in itertools.product(SEARCHED.get(layout.name, ()), targets()):
        for weighed in (False, True):
            yield Case(source, layout, *target, mse=True, weighed=weighed)
    if layout.shape[long_axis(layout)] <= LONGEST_FED:
        for number, target in enumerate(targets()):
            source = SOURCES[(LAYOUTS.index(layout) + number) % len(SOURCES)]
            yield Case(source, layout, *target, mse=number % 4 == 3, fed=True)


def table() -> list[str]:
    """The lines of the table, with the reference's digests."""
    lines = [
        "/* Made by `python tests/golden/corpus.py`, which describes it, from the reference. */",
        "/* clang-format off */",
        *(f"KIND({draw.__name__}, {a}, {b})" for draw, a, b in KINDS),
    ]
    for layout in LAYOUTS:
        lines.append(f"/* {layout.name} */")
        lines += (case.line(case.digest()) for case in cases(layout))
    return lines


def read_table() -> list[str]:
    """The lines of the table as it is checked in."""
    return TABLE.read_text().splitlines()


if __name__ == "__main__":
    TABLE.write_text("\n".join(table()) + "\n")
    sys.stdout.write(f"wrote {TABLE}\n")
