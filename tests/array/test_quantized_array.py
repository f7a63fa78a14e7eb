"""``QuantizedArray`` at the prompt, and ``quantize_array`` by granularity."""

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import PalettizedArray, QuantizedArray, palettize_array, quantize_array
from coreai_opt.arrays.sparse_array import SparseArray
from coreai_opt.arrays.sparsify import keep_largest

from ..support.same_bytes import assert_same_bytes

WEIGHT = np.random.default_rng(0).standard_normal((4, 64, 3)).astype(np.float32)


def quantized() -> QuantizedArray:
    return quantize_array(WEIGHT, "int4", block_sizes=(1, 32, 0))


def test_repr_is_one_line_that_says_what_it_is():
    assert repr(quantized()) == (
        "QuantizedArray(int4 of shape (4, 64, 3) from float32, 8 float32 scales of blocks "
        "(1, 32, 3), 416 bytes)"
    )


def palettized() -> PalettizedArray:
    return palettize_array(WEIGHT, 3)


def sparse() -> SparseArray:
    keep = keep_largest(np.abs(WEIGHT), 0.25)
    return SparseArray(
        WEIGHT[keep], np.packbits(keep, bitorder="little"), WEIGHT.shape, WEIGHT.dtype
    )


STORED = pytest.mark.parametrize("stored", [quantized, palettized, sparse])


def test_others_are_one_line_as_well():
    assert repr(palettized()) == (
        "PalettizedArray(indices of 3 bits of shape (4, 64, 3) from float32, float32 tables of "
        "shape (1, 1, 1, 8), 320 bytes)"
    )
    assert repr(sparse()) == (
        "SparseArray(576 elements of shape (4, 64, 3) from float32, 2,400 bytes)"
    )


@STORED
def test_numpy_decodes_it(stored):
    want = stored().dequantize()
    assert np.asarray(stored()).tobytes() == want.tobytes()
    assert np.asarray(stored(), np.float64).tolist() == want.astype(np.float64).tolist()
    assert (stored() - WEIGHT).tobytes() == (want - WEIGHT).tobytes()


@STORED
def test_numpy_is_not_given_what_it_must_not_copy(stored):
    with pytest.raises(ValueError, match=f"copy must not be False: a {type(stored()).__name__} is"):
        np.asarray(stored(), copy=False)


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", np.float16, ml_dtypes.bfloat16]
)
def test_decodes_to_the_dtype_that_is_asked_for(dtype):
    out = np.empty(WEIGHT.shape, dtype)
    assert quantized().dequantize(dtype).dtype == out.dtype
    assert quantized().dequantize(dtype).tobytes() == quantized().dequantize(out=out).tobytes()
    assert quantized().dequantize(dtype, out=out) is out


@pytest.mark.parametrize("dtype", ["float64", "int8", "float99", 3])
def test_other_dtypes_are_refused(dtype):
    with pytest.raises(TypeError, match="dtype must be one of float32, float16, bfloat16; got"):
        quantized().dequantize(dtype)


def test_a_dtype_that_is_not_that_of_out_is_refused():
    with pytest.raises(ValueError, match="out is float32"):
        quantized().dequantize("float16", out=np.empty(WEIGHT.shape, np.float32))


@pytest.mark.parametrize(
    ("granularity", "block_sizes"),
    [("per_tensor", (0, 0, 0)), ("channel", (1, 0, 0)), ("per_block", (1, 32, 0))],
)
def test_granularities(granularity, block_sizes):
    got = quantize_array(WEIGHT, "int4", granularity=granularity)
    assert_same_bytes(got, quantize_array(WEIGHT, "int4", block_sizes=block_sizes))


def test_block_size():
    got = quantize_array(WEIGHT, "int4", granularity="block", block_size=16)
    assert_same_bytes(got, quantize_array(WEIGHT, "int4", block_sizes=(1, 16, 0)))


def test_mxfp4_needs_no_granularity():
    got = quantize_array(WEIGHT, "mxfp4")
    assert_same_bytes(got, quantize_array(WEIGHT, "fp4_e2m1fn", block_sizes=(1, 32, 0)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "granularity, or block_sizes in its place, must be given"),
        ({"granularity": "block", "block_sizes": (1, 32, 0)}, "block_sizes must be None with a"),
        ({"granularity": "block", "block_size": 7}, "7"),
        ({"granularity": "block", "block_size": 0}, "block_size must be an int >= 1"),
        ({"granularity": "per_grouped_channel"}, "quantization supports"),
    ],
)
def test_bad_granularities(options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        quantize_array(WEIGHT, "int4", **options)


def test_vectors_have_no_blocks():
    with pytest.raises(ValueError, match="needs a weight with an axis of input channels"):
        quantize_array(WEIGHT.reshape(-1), "int4", granularity="per_block")
    got = quantize_array(WEIGHT.reshape(-1), "int4", granularity="per_channel")
    assert got.scale.shape == (WEIGHT.size,)
