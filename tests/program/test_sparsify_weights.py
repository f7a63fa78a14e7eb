"""``sparsify_weights``: programs with sparse weights, on Core AI's runtime and on the way back."""

import inspect
import logging
from functools import partial
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import Value

from coreai_opt import palettize_array, quantize_array
from coreai_opt.arrays.backends import parse_backend
from coreai_opt.arrays.sparsify import keep_blocks, keep_largest, keep_of_each, store_kept
from coreai_opt.coreai_utils import dequantize_weights, sparsify_weights
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.programs import (
    all_stored,
    linear,
    make_program,
    matmul_program,
    random_weight,
    text,
)

F16, BF16 = np.float16, ml_dtypes.bfloat16


def test_the_signature_is_apple_s() -> None:
    parameters = list(inspect.signature(sparsify_weights).parameters.values())
    positional = [one for one in parameters if one.kind is one.POSITIONAL_OR_KEYWORD]
    assert [(parameter.name, parameter.default) for parameter in positional[1:]] == [
        ("target_sparsity", 0.5),
        ("block_size", None),
        ("n_m_ratio", None),
        ("quantize_dtype", None),
        ("palettize_nbits", None),
        ("weight_num_threshold", 1024),
        ("in_place", False),
    ]


def test_the_least_go_and_of_equal_ones_the_first() -> None:
    magnitudes = np.array([[3, 1, 2], [1, 1, 5]])
    assert keep_largest(magnitudes, 0.34).tolist() == [[True, False, True], [False, True, True]]
    assert keep_largest(magnitudes, 0.3).sum() == 5  # floor(6 * 0.3) is 1
    assert keep_largest(magnitudes, 0).all()
    assert not keep_largest(magnitudes, 1).any()


def test_blocks_go_by_their_norm() -> None:
    weight = np.array([[3.0, 0], [0, 2], [1, 1], [1, 2]])
    # Blocks of rows 0, 1 and of rows 2, 3: norms of 9 and 4 against 2 and 5.
    kept = keep_blocks(weight, 0, 2, 0.5)
    assert kept.tolist() == [[True, False], [True, False], [False, True], [False, True]]


def test_of_every_m_the_n_least_go() -> None:
    weight = np.array([[4, -1, 2, 3, 1, 1, -1, 1]])
    kept = keep_of_each(weight, 1, 2, 4)
    assert kept.tolist() == [[True, False, False, True, False, False, True, True]]
    assert keep_of_each(weight.T, 0, 2, 4).T.tolist() == kept.tolist()


def test_the_last_block_may_have_fewer() -> None:
    weight = np.array([[3.0], [3], [1], [1], [2]])
    # Norms of 18, 2 and 4.
    assert keep_blocks(weight, 0, 2, 0.34).ravel().tolist() == [True, True, False, False, True]
    assert keep_blocks(weight, 0, 2, 0.67).ravel().tolist() == [True, True, False, False, False]


def test_what_the_last_run_lacks_counts_among_the_least() -> None:
    weight = np.array([[3, 1, 2, 4, 0, -1, 2]])
    kept = keep_of_each(weight, 1, 2, 4)
    assert kept.tolist() == [[True, False, False, True, False, True, True]]
    # Of a run of one element, three are lacking already.
    assert keep_of_each(np.zeros((1, 5)), 1, 3, 4).tolist() == [[False, False, False, True, True]]


@pytest.mark.parametrize(("argument", "value"), [("backend", "no such"), ("num_threads", 0)])
def test_arguments_of_decoding_are_checked(argument: str, value: object) -> None:
    weight = np.arange(8, dtype=np.float32)
    sparse = store_kept(weight, weight > 3, parse_backend("auto"), 1)
    with pytest.raises(ValueError, match=argument) as error:
        sparse.dequantize(**{argument: value})
    assert error.value.argument == argument
    assert sparse.dequantize(backend="validate").tolist() == [0, 0, 0, 0, 4, 5, 6, 7]


WAYS: dict[str, dict[str, Any]] = {
    "half": {},
    "three quarters": {"target_sparsity": 0.75},
    "blocks": {"block_size": 4},
    "2 of 4": {"target_sparsity": None, "n_m_ratio": (2, 4)},
    "int8": {"quantize_dtype": "int8"},
    "uint8": {"quantize_dtype": "uint8"},
    "E4M3": {"quantize_dtype": "fp8_e4m3fn"},
    "3 bits": {"palettize_nbits": 3},
    "8 bits, 2 of 4": {"target_sparsity": None, "n_m_ratio": (2, 4), "palettize_nbits": 8},
    "E5M2, 2 of 4": {
        "target_sparsity": None,
        "n_m_ratio": (2, 4),
        "quantize_dtype": "fp8_e5m2",
    },
}


def linear_program(weight: np.ndarray) -> Any:
    rows, columns = weight.shape
    return make_program(
        lambda x: linear(x, weight),
        {"x": ((3, columns), np.float32)},
        {"y": ((3, rows), np.float32)},
    )


@pytest.mark.parametrize("name", WAYS)
def test_a_program_is_sparse_until_it_is_dequantized(name: str) -> None:
    weight = random_weight((24, 32))
    sparse = sparsify_weights(linear_program(weight), weight_num_threshold=0, **WAYS[name])
    assert "coreai.sparse_with_bitmask_to_dense" in text(sparse)
    back = dequantize_weights(sparse)
    for op in ("sparse", "blockwise_shift_scale", "lut_to_dense"):
        assert op not in text(back)
    (decoded,) = (read_constant(found.op) for found in find_weights(back, 0))
    zeros = np.count_nonzero(decoded == 0) / weight.size
    assert zeros >= (0.75 if name == "three quarters" else 0.5)
    if WAYS[name].keys().isdisjoint({"quantize_dtype", "palettize_nbits"}):
        assert zeros == (0.75 if name == "three quarters" else 0.5)
        assert (decoded[decoded != 0] == weight[decoded != 0]).all()


@pytest.mark.parametrize("dtype", [np.float32, F16, BF16], ids=lambda dtype: dtype.__name__)
def test_what_is_stored_is_described(dtype: Any) -> None:
    weight = random_weight((64, 32), dtype)
    program = sparsify_weights(matmul_program(weight), weight_num_threshold=0)
    (stored,) = find_quantized(program)
    assert stored.format == f"sparse {np.dtype(dtype)}"
    assert stored.shape == (64, 32)
    assert stored.nbytes == 1024 * np.dtype(dtype).itemsize + 2048 // 8
    array = stored.form.read(stored.op)
    assert array.dequantize().dtype == dtype
    assert find_weights(program, 0) == []


@pytest.mark.parametrize("dtype", [np.float32, F16, BF16], ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize(
    ("arguments", "compress", "format"),
    [
        ({"palettize_nbits": 3}, partial(palettize_array, n_bits=3), "sparse lut3"),
        (
            {"quantize_dtype": "uint8"},
            partial(quantize_array, dtype="uint8", block_sizes=(0,)),
            "sparse uint8",
        ),
    ],
    ids=["table", "uint8"],
)
def test_values_are_compressed_as_the_list_that_they_are(
    arguments: dict[str, Any], compress: Any, format: str, dtype: Any
) -> None:
    weight = random_weight((64, 32), dtype)
    program = sparsify_weights(matmul_program(weight), weight_num_threshold=0, **arguments)
    (stored,) = find_quantized(program)
    array = stored.form.read(stored.op)
    kept = keep_largest(abs(weight), 0.5)
    expected = compress(weight[kept])
    assert array.values.packed.tobytes() == expected.packed.tobytes()
    assert (array.is_stored() == kept).all()
    assert (array.dequantize()[kept] == expected.dequantize()).all()
    assert (array.dequantize()[~kept] == 0).all()
    assert array.dequantize(np.float32).dtype == np.float32
    assert (stored.format, stored.shape) == (format, (64, 32))
    assert stored.nbytes == array.nbytes == expected.nbytes + 2048 // 8
    assert stored.form.saved_bytes(array) == stored.nbytes
    assert stored.form.label(array) == (stored.format, stored.scale_dtype)
    assert stored.granularity == "per_tensor"
    assert find_weights(program, 0) == []


def test_clones_of_values_in_another_form_are_one_weight() -> None:
    weight = random_weight((24, 32))

    def body(value: Value) -> Any:
        return linear(value, weight), linear(value, weight.copy())

    outputs = {"y": ((3, 24), np.float32), "z": ((3, 24), np.float32)}
    program = make_program(body, {"x": ((3, 32), np.float32)}, outputs)
    sparse = sparsify_weights(program, palettize_nbits=4, weight_num_threshold=0)
    assert [len(stored.ops) for stored in find_quantized(sparse)] == [2]
    assert "sparse" not in text(dequantize_weights(sparse))


def test_channels_that_do_not_fit_leave_the_weight(caplog: pytest.LogCaptureFixture) -> None:
    program = linear_program(random_weight((24, 32)))
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        blocks = sparsify_weights(program, block_size=25, weight_num_threshold=0)
        ratio = sparsify_weights(program, None, n_m_ratio=(1, 33), weight_num_threshold=0)
    assert text(blocks) == text(ratio) == text(program)
    assert "block_size 25 is more than its output channels, 24" in caplog.text
    assert "33 is more than its input channels, 32" in caplog.text


def test_what_is_not_finite_is_left(caplog: pytest.LogCaptureFixture) -> None:
    weight = random_weight((24, 32))
    weight[3, 4] = np.nan
    program = linear_program(weight)
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        after = sparsify_weights(program, weight_num_threshold=0)
    assert text(after) == text(program)
    assert "weight is nan at index (3, 4)" in caplog.text


def test_numbers_of_numpy_are_numbers() -> None:
    program = linear_program(random_weight((24, 32)))
    for given, plain in (
        ({"n_m_ratio": (np.int64(2), np.int8(4))}, {"n_m_ratio": (2, 4)}),
        ({"target_sparsity": np.float32(0.25)}, {"target_sparsity": 0.25}),
    ):
        arguments: list[dict[str, Any]] = [{"target_sparsity": None, **of} for of in (given, plain)]
        one, two = (sparsify_weights(program, weight_num_threshold=0, **a) for a in arguments)
        assert all_stored(one) == all_stored(two)


BAD: list[tuple[dict[str, Any], str]] = [
    ({"n_m_ratio": (2, 4)}, "`target_sparsity` and `n_m_ratio` cannot both be set"),
    ({"target_sparsity": None}, "One of `target_sparsity` or `n_m_ratio` must be set"),
    (
        {"quantize_dtype": "int8", "palettize_nbits": 4},
        "`quantize_dtype` and `palettize_nbits` cannot both be set",
    ),
    ({"quantize_dtype": "uint2"}, "Invalid quantize_dtype"),
    ({"palettize_nbits": 5}, "Invalid palettize_nbits"),
    ({"block_size": 1}, "`block_size` must be greater than 1"),
    ({"target_sparsity": None, "n_m_ratio": (1, 2, 3)}, "`n_m_ratio` must be a tuple of length 2"),
    ({"target_sparsity": None, "n_m_ratio": (1.5, 2)}, "`n_m_ratio` must contain integers"),
    ({"target_sparsity": None, "n_m_ratio": (0, 0)}, "`n_m_ratio` requires m > 0"),
    ({"target_sparsity": None, "n_m_ratio": (3, 2)}, "`n_m_ratio` requires 0 <= n <= m"),
    ({"target_sparsity": 1.5}, "target_sparsity must be a number from 0 to 1"),
    ({"target_sparsity": 10**400}, "target_sparsity must be a number from 0 to 1"),
    ({"target_sparsity": None, "n_m_ratio": (True, 2)}, "`n_m_ratio` must contain integers"),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_arguments_are_named_before_anything_is_touched(
    arguments: dict[str, Any], message: str
) -> None:
    program = matmul_program(random_weight((64, 32)))
    before = text(program)
    with pytest.raises(ValueError, match=f"^{message}"):
        sparsify_weights(program, in_place=True, **arguments)
    assert text(program) == before
