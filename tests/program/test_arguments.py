"""Every bad argument is refused before anything is touched, in words that name it."""

import inspect
from typing import Any

import numpy as np
import pytest
from coreai.authoring import AIProgram

from coreai_opt.coreai_utils import (
    CompressionGranularity,
    DType,
    Indivisible,
    QScheme,
    quantize_weights,
)
from coreai_opt.program.weights import find_weights

from ..support.programs import all_stored, matmul_program, random_weight, text

GRANULARITY = CompressionGranularity
PER_BLOCK = GRANULARITY.PER_BLOCK
MXFP4 = r"^DType.FP4_E2M1FN requires granularity=.*PER_BLOCK and block_size=32"
FP_DTYPES = [DType.FP4_E2M1FN, DType.FP8_E4M3FN, DType.FP8_E5M2]


@pytest.fixture(scope="module")
def program() -> AIProgram:
    return matmul_program(random_weight((64, 48)))


def case(error: type[Exception], message: str, **arguments: Any) -> Any:
    return pytest.param(
        error, message, arguments, id=",".join(f"{k}={v!r}" for k, v in arguments.items())
    )


BAD = [
    # dtype
    case(ValueError, "^Unsupported weight dtype 'int3'.*'int4'", dtype="int3"),
    case(ValueError, "^Unsupported weight dtype.*fp8_e8m0fnu.*int4", dtype=DType.FP8_E8M0FNU),
    case(ValueError, "^Unsupported weight dtype", dtype="fp8_e8m0fnu"),
    case(ValueError, "^Unsupported weight dtype", dtype=QScheme.SYMMETRIC),
    case(TypeError, "^Unsupported weight dtype", dtype=np.int8),
    case(TypeError, "^Unsupported weight dtype None", dtype=None),
    # qscheme
    *[
        case(
            ValueError,
            "^Asymmetric quantization (is|.* is) not supported.*qscheme",
            dtype=dtype,
            qscheme=QScheme.ASYMMETRIC,
            granularity=PER_BLOCK,
        )
        for dtype in FP_DTYPES
    ],
    case(ValueError, "qscheme 'affine'.*'symmetric'", qscheme="affine"),
    case(TypeError, "qscheme True", qscheme=True),
    case(ValueError, "observer 'best'.*'minmax', 'mse'", observer="best"),
    # importance
    case(ValueError, "^importance must be None unless observer is .mse", importance={}),
    *[
        case(error, message, observer="mse", importance=importance)
        for error, message, importance in (
            (TypeError, "^importance must be a mapping.*got ndarray", np.ones(64)),
            (
                ValueError,
                "^importance names 'matmul.wieght', which is no weight.*; near it: '",
                {"matmul.wieght": np.ones(64)},
            ),
            (ValueError, "^importance names 7, which is no weight", {7: np.ones(64)}),
        )
    ],
    # scale_dtype
    *[
        case(
            ValueError,
            "^scale_dtype must be None for integer dtype.*got",
            dtype=dtype,
            scale_dtype=scale_dtype,
        )
        for dtype in DType
        if dtype.is_int()
        for scale_dtype in (DType.FP8_E8M0FNU, DType.INT8)
    ],
    case(
        ValueError,
        "^scale_dtype must be None for FP4 dtype.*got",
        dtype=DType.FP4_E2M1FN,
        granularity=PER_BLOCK,
        scale_dtype=DType.FP8_E8M0FNU,
    ),
    case(ValueError, "^Invalid scale_dtype.*E8M0FNU", dtype="fp8_e5m2", scale_dtype=DType.INT8),
    case(ValueError, "^Invalid scale_dtype 'f16'", dtype="fp8_e5m2", scale_dtype="f16"),
    case(TypeError, "^Invalid scale_dtype 8", dtype="fp8_e5m2", scale_dtype=8),
    # FP4 is MXFP4
    *[
        case(ValueError, MXFP4, dtype="fp4_e2m1fn", granularity=granularity)
        for granularity in GRANULARITY
        if granularity is not PER_BLOCK
    ],
    *[
        case(ValueError, MXFP4, dtype="fp4_e2m1fn", granularity=PER_BLOCK, block_size=size)
        for size in (16, 64, 0, 32.0, "32", True, None)
    ],
    # granularity
    case(
        ValueError,
        "^Invalid granularity.*per_grouped_channel.*'per_tensor', 'per_channel' and 'per_block'",
        granularity=GRANULARITY.PER_GROUPED_CHANNEL,
    ),
    case(ValueError, "granularity 'per_row'.*'per_block'", granularity="per_row"),
    case(ValueError, "granularity", granularity=DType.INT4),
    case(TypeError, "granularity 1", granularity=1),
    # block_size
    *[
        case(error, f"^block_size must be an int >= 1; got {size!r}", **arguments)
        for error, size in (
            (ValueError, 0),
            (ValueError, -1),
            (TypeError, True),
            (TypeError, 32.0),
            (TypeError, "32"),
            (TypeError, None),
        )
        for arguments in ({"granularity": PER_BLOCK, "block_size": size},)
    ],
    # the rest
    *[
        case(error, "^weight_num_threshold must be an int >= 0; got", weight_num_threshold=value)
        for error, value in (
            (ValueError, -1),
            (TypeError, 1e3),
            (TypeError, True),
            (TypeError, "1"),
        )
    ],
    *[
        case(error, "^num_threads must be an int >= 1 or None; got", num_threads=value)
        for error, value in ((ValueError, 0), (ValueError, -2), (TypeError, 2.0), (TypeError, True))
    ],
    case(ValueError, "^backend must be one of 'auto'.*got 'cuda'", backend="cuda"),
    case(TypeError, "^backend must be one of 'auto'.*got None", backend=None),
]


@pytest.mark.parametrize(("error", "message", "arguments"), BAD)
def test_bad_arguments(
    program: AIProgram, error: type[Exception], message: str, arguments: dict[str, Any]
) -> None:
    before = text(program)
    with pytest.raises(error, match=message):
        quantize_weights(program, **{"dtype": DType.INT4, "in_place": True, **arguments})
    assert text(program) == before


@pytest.mark.parametrize(
    ("error", "message", "value"),
    [
        (TypeError, "must be a numpy array of floating.*; got list", [1.0] * 64),
        (TypeError, "must be a numpy array of floating.*; got int64", np.ones(64, int)),
        (ValueError, r"must have one .* input channel, shape \(64,\).*\(48,\)", np.ones(48)),
        (ValueError, r"must have one .* input channel.*got shape \(1,\)", np.ones(1)),
        (ValueError, r"must have one .* input channel.*got shape \(64, 1\)", np.ones((64, 1))),
        (
            ValueError,
            r"is -1.0 at index \(3,\); it must be >= 0",
            np.where(np.arange(64) == 3, -1.0, 1),
        ),
        (ValueError, r"is nan at index \(0,\); it must be >= 0 and finite", np.full(64, np.nan)),
        (ValueError, r"is 1e\+39 at index \(0,\).*finite in float32", np.full(64, 1e39)),
    ],
)
def test_bad_importances(
    program: AIProgram, error: type[Exception], message: str, value: Any
) -> None:
    name = find_weights(program, 0)[0].name
    before = text(program)
    with pytest.raises(error, match=rf"^importance\['{name}'\] {message}"):
        quantize_weights(program, "int4", in_place=True, observer="mse", importance={name: value})
    assert text(program) == before


@pytest.mark.parametrize("thing", [None, "model.aimodel", object()])
def test_a_program_must_be_an_ai_program(thing: Any) -> None:
    name = type(thing).__name__
    with pytest.raises(TypeError, match=f"^coreai_program must be .*AIProgram.*got {name}"):
        quantize_weights(thing, DType.INT4)


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("^Unsupported weight dtype", {"dtype": "int3", "qscheme": "no", "scale_dtype": "no"}),
        ("^scale_dtype must be None for integer", {"scale_dtype": "no", "granularity": "no"}),
        (
            "^Asymmetric",
            {"dtype": "fp8_e5m2", "qscheme": QScheme.ASYMMETRIC, "scale_dtype": DType.INT8},
        ),
        ("^scale_dtype must be None for FP4", {"dtype": "fp4_e2m1fn", "scale_dtype": DType.INT8}),
    ],
)
def test_the_first_complaint_is_coreai_opts(message: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=message):
        quantize_weights(None, **{"dtype": DType.INT4, **arguments})  # type: ignore[arg-type]  # the error to test


@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel"])
def test_block_size_is_looked_at_only_with_per_block(program: AIProgram, granularity: str) -> None:
    quantize_weights(program, "int4", granularity=granularity, block_size=None)  # type: ignore[arg-type]  # a str


def test_strings_and_numpy_integers_do_what_members_and_ints_do(program: AIProgram) -> None:
    by_member = quantize_weights(
        program, DType.UINT4, QScheme.ASYMMETRIC, PER_BLOCK, 32, 1024, None, False
    )
    by_value = quantize_weights(
        program, "uint4", "asymmetric", "per_block", np.int64(32), np.int64(1024), None, False
    )
    assert all_stored(by_value) == all_stored(by_member) != all_stored(program)
    fp8 = quantize_weights(program, DType.FP8_E5M2, scale_dtype=DType.FP8_E8M0FNU)
    assert all_stored(quantize_weights(program, "fp8_e5m2", scale_dtype="fp8_e8m0fnu")) == (
        all_stored(fp8)
    )


def test_the_documented_signature() -> None:
    positional = {
        "coreai_program": inspect.Parameter.empty,
        "dtype": inspect.Parameter.empty,
        "qscheme": QScheme.SYMMETRIC,
        "granularity": GRANULARITY.PER_CHANNEL,
        "block_size": 32,
        "weight_num_threshold": 1024,
        "scale_dtype": None,
        "in_place": False,
    }
    keyword_only = {
        "observer": None,
        "rounding": None,
        "calibration": None,
        "importance": None,
        "indivisible": Indivisible.SKIP,
        "overrides": None,
        "target": None,
        "backend": "auto",
        "num_threads": None,
        "progress": None,
    }
    parameters = inspect.signature(quantize_weights).parameters.values()
    kinds = {
        inspect.Parameter.POSITIONAL_OR_KEYWORD: positional,
        inspect.Parameter.KEYWORD_ONLY: keyword_only,
    }
    for kind, expected in kinds.items():
        found = {p.name: p.default for p in parameters if p.kind is kind}
        assert list(found.items()) == list(expected.items())
