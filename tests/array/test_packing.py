"""Packed bytes: the codes of the whole tensor as one little-endian number, the tail zero."""

import numpy as np
import pytest

from ..support.corpus import F32, SPECS, Layout, Spec, corpus

BITS = {"int2": 2, "uint2": 2, "int4": 4, "uint4": 4, "fp4_e2m1fn": 4}

# 5x7 is 35 codes: rows of 4- and 2-bit codes begin inside a byte, and the last byte is not full.
SHAPES = [(1,), (2,), (3,), (4,), (5,), (5, 7), (7, 5), (3, 3, 3), (1, 13), (13, 1), (9, 31)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_low_bits_first_across_rows(spec: Spec, shape: tuple[int, ...], backend: str) -> None:
    bits = BITS.get(spec.dtype, 8)
    layout = Layout(shape, (1,) * len(shape[:-1]) + (0,))
    for weight in corpus(layout, F32):
        result = spec.quantize(weight, layout.block_sizes, backend)
        codes = result.codes().view(np.uint8).ravel() & ((1 << bits) - 1)
        number = sum(int(code) << (bits * i) for i, code in enumerate(codes))
        assert result.packed.shape == (-(-weight.size * bits // 8),)
        assert result.packed.tobytes() == number.to_bytes(result.packed.size, "little")


def test_5x7_nibbles(backend: str) -> None:
    # Row 0 is 1 … 7: bytes 21 43 65 and, with the first of row 1 above it, _7.
    weight = np.tile(np.arange(1, 8, dtype=np.float32), (5, 1))
    packed = Spec("int4").quantize(weight, [1, 0], backend).packed
    assert packed.tobytes().hex() == "21436517325476" * 2 + "21436507"


def test_5x7_crumbs(backend: str) -> None:
    # Codes 1 0 3(-1) 1 0 3 1 per row, two bits each, the first lowest: 01 00 11 01 -> 0x71, …
    weight = np.tile(np.array([1, 0, -1, 1, 0, -1, 1], np.float32), (5, 1))
    packed = Spec("int2").quantize(weight, [1, 0], backend).packed
    codes = [1, 0, 3, 1, 0, 3, 1] * 5 + [0]
    by_hand = [a | b << 2 | c << 4 | d << 6 for a, b, c, d in zip(*[iter(codes)] * 4, strict=True)]
    assert by_hand[0] == 0x71
    assert packed.tolist() == by_hand
