"""Bad arguments of quantize_array: each raises, and says which, what it was and what is allowed."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from coreai_opt import ArgumentError, ArgumentTypeError, DType, QScheme, quantize_array

from ..support.corpus import WEIGHT_DTYPES, DTypeLike

WEIGHT = np.ones((4, 6), np.float32)
H = np.ones((1, 6), np.float32)
GOOD: dict[str, Any] = {"weight": WEIGHT, "dtype": "int4", "block_sizes": (1, 0)}


class Unspellable:
    def __repr__(self) -> str:
        return "<unspellable>"


# argument, value, error, texts that the message must hold
BAD_ARGUMENTS: list[tuple[str, Any, type[Exception], list[str]]] = [
    ("weight", [[1.0, 2.0]], TypeError, ["weight", "numpy array", "list"]),
    ("weight", None, TypeError, ["weight", "numpy array", "NoneType"]),
    ("weight", np.float32(1), TypeError, ["weight", "numpy array", "float32"]),
    *(
        ("weight", np.ones((4, 6), dtype), TypeError, ["weight", str(np.dtype(dtype)), allowed])
        for dtype in (np.float64, np.int8, np.int32, bool, complex, ml_dtypes.float8_e4m3fn)
        for allowed in ("float32", "float16", "bfloat16")
    ),
    ("weight", np.array([["a"]]), TypeError, ["weight", "<U1", "float32, float16, bfloat16"]),
    ("weight", np.array(1, np.float32), ValueError, ["weight", "at least one axis", "()"]),
    ("weight", np.ones((4, 0), np.float32), ValueError, ["weight", "one element", "(4, 0)"]),
    ("block_sizes", (1,), ValueError, ["block_sizes", "[1]", "one entry per axis", "(4, 6)"]),
    ("block_sizes", (1, 0, 0), ValueError, ["block_sizes", "[1, 0, 0]", "one entry per axis"]),
    ("block_sizes", (), ValueError, ["block_sizes", "[]", "one entry per axis"]),
    ("block_sizes", (1, 4), ValueError, ["block", "4 does not divide axis 1 of length 6"]),
    ("block_sizes", (8, 0), ValueError, ["block", "8 does not divide axis 0 of length 4"]),
    ("block_sizes", (1, -1), ValueError, ["block_sizes[1]", "-1", "int >= 0"]),
    ("block_sizes", (-4, 0), ValueError, ["block_sizes[0]", "-4", "int >= 0"]),
    ("block_sizes", (True, 0), TypeError, ["block_sizes[0]", "True", "int >= 0"]),
    ("block_sizes", (np.True_, 0), TypeError, ["block_sizes[0]", "True", "int >= 0"]),
    ("block_sizes", (1, 2.0), TypeError, ["block_sizes[1]", "2.0", "int >= 0"]),
    ("block_sizes", (1, "2"), TypeError, ["block_sizes[1]", "'2'", "int >= 0"]),
    ("block_sizes", (1, None), TypeError, ["block_sizes[1]", "None", "int >= 0"]),
    ("block_sizes", np.array([1.0, 2.0]), TypeError, ["block_sizes[0]", "1.0", "int >= 0"]),
    ("block_sizes", 32, TypeError, ["block_sizes", "32", "sequence of ints"]),
    ("block_sizes", "10", TypeError, ["block_sizes", "'10'", "sequence of ints"]),
    ("block_sizes", b"\1\0", TypeError, ["block_sizes", "sequence of ints"]),
    ("block_sizes", {1: 0, 0: 0}, TypeError, ["block_sizes", "sequence of ints"]),
    ("dtype", "int3", ValueError, ["Unsupported weight dtype", "'int3'", "'int4'", "'fp8_e5m2'"]),
    ("dtype", "INT 4", ValueError, ["Unsupported weight dtype", "'INT 4'", "'int4'"]),
    ("dtype", "fp8_e8m0fnu", ValueError, ["Unsupported weight dtype", "e8m0fnu", "'int4'"]),
    ("dtype", DType.FP8_E8M0FNU, ValueError, ["Unsupported weight dtype", "E8M0FNU", "'int4'"]),
    ("dtype", QScheme.SYMMETRIC, ValueError, ["Unsupported weight dtype", "SYMM", "'int4'"]),
    ("dtype", None, TypeError, ["Unsupported weight dtype", "None", "DType", "'int4'"]),
    ("dtype", np.int8, TypeError, ["Unsupported weight dtype", "numpy.int8", "'int8'"]),
    ("qscheme", "affine", ValueError, ["qscheme", "'affine'", "'symmetric', 'asymmetric'"]),
    ("qscheme", None, TypeError, ["qscheme", "None", "QScheme", "'asymmetric'"]),
    ("qscheme", DType.INT4, ValueError, ["qscheme", "INT4", "'symmetric', 'asymmetric'"]),
    ("observer", "best", ValueError, ["observer", "'best'", "'minmax', 'mse'"]),
    ("observer", 1, TypeError, ["observer", "1", "Observer", "'mse'"]),
    ("observer", DType.INT4, ValueError, ["observer", "INT4", "'minmax', 'mse'"]),
    ("scale_dtype", "fp8_e8m0fnu", ValueError, ["scale_dtype must be None for integer dtype"]),
    ("scale_dtype", DType.INT8, ValueError, ["scale_dtype must be None for integer dtype", "INT8"]),
    *(
        ("backend", name, ValueError, ["backend", repr(name), "'auto'", "'native'", "'validate'"])
        for name in ("fast", "", "nativ", "auto-")
    ),
    ("backend", None, TypeError, ["backend", "None", "'auto'", "'reference'"]),
    ("backend", 1, TypeError, ["backend", "1", "'auto'", "'reference'"]),
    *(
        ("num_threads", value, error, ["num_threads", repr(value), "int >= 1 or None"])
        for value, error in (
            (0, ValueError), (-1, ValueError), (True, TypeError), (2.0, TypeError),
            ("2", TypeError), (Unspellable(), TypeError),
        )
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "value", "error", "texts"),
    BAD_ARGUMENTS,
    ids=[f"{row[0]}-{i}" for i, row in enumerate(BAD_ARGUMENTS)],
)
def test_bad_argument(argument: str, value: Any, error: type[Exception], texts: list[str]) -> None:
    with pytest.raises(error) as caught:
        quantize_array(**{**GOOD, argument: value})
    assert isinstance(caught.value, ArgumentError | ArgumentTypeError)
    assert caught.value.argument.partition("[")[0] == argument
    for text in texts:
        assert text in str(caught.value)


# Of the floating-point formats: dtype, other arguments, texts of the ValueError.
BAD_COMBINATIONS: list[tuple[str, dict[str, Any], list[str]]] = [
    *(
        (name, {"qscheme": "asymmetric"},
         ["Asymmetric quantization is not supported", name.upper(), "qscheme", "SYMMETRIC"])
        for name in ("fp4_e2m1fn", "fp8_e4m3fn", "fp8_e5m2")
    ),
    ("fp4_e2m1fn", {"scale_dtype": "fp8_e8m0fnu"}, ["scale_dtype must be None for FP4 dtype"]),
    ("fp4_e2m1fn", {"scale_dtype": "int8"}, ["scale_dtype must be None for FP4 dtype", "'int8'"]),
    ("fp8_e4m3fn", {"scale_dtype": "int8"}, ["Invalid scale_dtype", "INT8", "E8M0FNU"]),
    ("fp8_e5m2", {"scale_dtype": DType.FP8_E5M2}, ["Invalid scale_dtype", "E5M2", "E8M0FNU"]),
    ("fp8_e5m2", {"scale_dtype": "float16"}, ["Invalid scale_dtype", "'float16'", "fp8_e8m0fnu"]),
]  # fmt: skip


@pytest.mark.parametrize(("dtype", "arguments", "texts"), BAD_COMBINATIONS)
def test_bad_combination(dtype: str, arguments: dict[str, Any], texts: list[str]) -> None:
    with pytest.raises(ValueError, match=texts[0]) as caught:
        quantize_array(WEIGHT, dtype, block_sizes=(1, 0), **arguments)
    for text in texts:
        assert text in str(caught.value)


# importance, error, texts that the message must hold
BAD_IMPORTANCES: list[tuple[Any, type[Exception], list[str]]] = [
    ([[1.0] * 6], TypeError, ["numpy array of floating-point numbers", "list"]),
    (1.0, TypeError, ["numpy array of floating-point numbers", "float"]),
    (H.astype(int), TypeError, ["numpy array of floating-point numbers", "int64"]),
    (H.astype(complex), TypeError, ["numpy array of floating-point numbers", "complex128"]),
    (H[0], ValueError, ["weight's rank", "(6,)", "(4, 6)"]),
    (H[np.newaxis], ValueError, ["weight's rank", "(1, 1, 6)", "(4, 6)"]),
    (H[:, :3], ValueError, ["its length or 1", "(1, 3)", "(4, 6)"]),
    (H.T, ValueError, ["its length or 1", "(6, 1)", "(4, 6)"]),
    (np.ones((1, 0)), ValueError, ["its length or 1", "(1, 0)", "(4, 6)"]),
    (np.array([[1, 1, -2, 1, np.nan, 1]]), ValueError, ["-2.0 at index (0, 2)", ">= 0"]),
    (np.array([[1, 1, 1, 1, np.nan, 1]]), ValueError, ["nan at index (0, 4)", "finite"]),
    (np.array([[1], [2], [np.inf], [4]]), ValueError, ["inf at index (2, 0)", "finite"]),
    (np.full((4, 6), 1e39), ValueError, ["1e+39 at index (0, 0)", "finite in float32"]),
]


@pytest.mark.parametrize(("importance", "error", "texts"), BAD_IMPORTANCES)
def test_bad_importance(importance: Any, error: type[Exception], texts: list[str]) -> None:
    with pytest.raises(error, match=r"^importance ") as caught:
        quantize_array(**GOOD, observer="mse", importance=importance)
    assert isinstance(caught.value, ArgumentError | ArgumentTypeError)
    for text in texts:
        assert text in str(caught.value)


def test_blocks_must_be_given() -> None:
    with pytest.raises(
        TypeError, match=r"^granularity, or block_sizes in its place, must be given"
    ):
        quantize_array(WEIGHT, "int4")


def test_importance_needs_mse() -> None:
    with pytest.raises(ValueError, match=r"^importance must be None unless observer is .mse"):
        quantize_array(**GOOD, importance=H)


def test_scale_dtype_of_another_type() -> None:
    with pytest.raises(TypeError, match="scale_dtype"):
        quantize_array(WEIGHT, "fp8_e4m3fn", block_sizes=(1, 0), scale_dtype=1)  # type: ignore[arg-type]  # the error to test


# What may look odd but is allowed.
@pytest.mark.parametrize(
    "block_sizes", [[1, 0], (np.int64(1), np.int8(6)), np.array([1, 6]), range(1, 3)], ids=str
)
def test_block_sizes_of_integer_types(block_sizes: Any, backend: str) -> None:
    result = quantize_array(WEIGHT, "int4", block_sizes=block_sizes, backend=backend)
    assert result.scale.shape == (4, 3) if isinstance(block_sizes, range) else (4, 1)


def test_members_and_their_strings_mean_the_same(backend: str) -> None:
    by_member = quantize_array(
        WEIGHT, DType.UINT8, qscheme=QScheme.ASYMMETRIC, block_sizes=(1, 0), backend=backend
    )
    by_string = quantize_array(
        WEIGHT, "uint8", qscheme="asymmetric", block_sizes=(1, 0), backend=backend,
        num_threads=np.int64(2),  # type: ignore[arg-type]  # an integer all the same
    )  # fmt: skip
    assert by_member.packed.tobytes() == by_string.packed.tobytes()
    assert by_string.dtype is DType.UINT8


@pytest.mark.parametrize("bad", [np.nan, -np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_not_finite(dtype: DTypeLike, bad: float, backend: str) -> None:
    """The first one in C order is named, whatever the order in memory and wherever others are."""
    weight = np.ones((5, 67, 3), dtype)
    weight[2, 65, 1] = bad
    weight[2, 66, 0] = weight[4, 0, 0] = np.nan
    views = (weight, np.asfortranarray(weight), np.ascontiguousarray(weight.T).T,
             weight[::-1].copy()[::-1], weight.astype(dtype.newbyteorder()))  # fmt: skip
    for view in views:
        for block_sizes in ((1, 0, 0), (0, 1, 1), (0, 0, 0), (1, 1, 1)):
            for name in ("int4", "uint8", "fp8_e4m3fn", "fp4_e2m1fn"):
                with pytest.raises(ValueError, match="weight") as caught:
                    quantize_array(view, name, block_sizes=block_sizes, backend=backend)
                value = "nan" if np.isnan(bad) else str(bad)
                assert f"{value} at index (2, 65, 1)" in str(caught.value)
                assert "finite" in str(caught.value)


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("length", [1, 7, 8, 16, 31, 33, 100])
def test_not_finite_at_every_position(length: int, dtype: DTypeLike, backend: str) -> None:
    for position in range(length):
        weight = np.zeros(length, dtype)
        weight[position] = -np.inf
        with pytest.raises(ValueError, match=rf"weight is -inf at index \({position},\)"):
            quantize_array(weight, "int8", block_sizes=[0], backend=backend)


def test_not_finite_found_by_any_thread(backend: str) -> None:
    weight = np.zeros((700, 1031), np.float32)
    weight[[699, 350, 351], [1030, 17, 16]] = np.nan
    for num_threads in (1, 2, 3, 8):
        with pytest.raises(ValueError, match=r"nan at index \(350, 17\)"):
            quantize_array(
                weight, "int4", block_sizes=(1, 0), backend=backend, num_threads=num_threads
            )


def test_bad_arguments_are_found_before_the_weight_is_read() -> None:
    weight = np.full((4, 6), np.nan, np.float32)
    with pytest.raises(ValueError, match="does not divide"):
        quantize_array(weight, "int4", block_sizes=(3, 0))
