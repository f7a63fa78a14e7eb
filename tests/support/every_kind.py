"""A program that uses every kind of weight, and what its outputs must be."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from coreai.authoring import AIProgram, Value, broadcasting_batch_matmul, gather_nd
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import DType, QScheme

from .programs import (
    Array,
    Signature,
    convolution,
    linear,
    make_program,
    random_weight,
    transposed_convolution,
)

SPECS: dict[str, dict[str, Any]] = {
    **{
        f"{dtype} {scheme}": {"dtype": dtype, "qscheme": scheme}
        for dtype in DType
        if dtype.is_int()
        for scheme in QScheme
    },
    **{
        f"{dtype} {scale}": {"dtype": dtype, "scale_dtype": scale}
        for dtype in (DType.FP8_E4M3FN, DType.FP8_E5M2)
        for scale in (None, DType.FP8_E8M0FNU)
    },
    "mxfp4": {"dtype": DType.FP4_E2M1FN},
    **{
        f"{dtype} symmetric mse": {"dtype": dtype, "observer": "mse"}
        for dtype in (DType.INT2, DType.UINT2, DType.INT4, DType.UINT4)
    },
}
"""Every format with every scheme and scale that it can have; the last have negative scales."""


# Every kind of weight: its shape, with 32 input channels or 64, and a block of 32 of them.
SHAPES: dict[str, tuple[int, ...]] = {
    "matmul": (64, 5),
    "linear": (5, 64),
    "heads": (2, 64, 5),
    "convolution": (3, 32, 2, 2),
    "transposed": (32, 3, 2, 2),
    "gather": (7, 32),
}


BLOCKS: dict[str, tuple[int, ...]] = {
    "matmul": (32, 1),
    "linear": (1, 32),
    "heads": (1, 32, 1),
    "convolution": (1, 32, 0, 0),
    "transposed": (32, 1, 0, 0),
    "gather": (1, 32),
}


def _inputs(weights: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """Return the shapes of what the weights are multiplied with."""
    return {
        "x": (3, weights["matmul"].shape[0]),
        "image": (1, weights["convolution"].shape[1], 4, 4),
    }


def _outputs(weights: Mapping[str, Array]) -> dict[str, tuple[int, ...]]:
    """Return the shape of the output that each weight makes."""
    shape = {kind: weight.shape for kind, weight in weights.items()}
    return {
        "matmul": (3, shape["matmul"][1]),
        "linear": (3, shape["linear"][0]),
        "heads": (shape["heads"][0], 3, shape["heads"][2]),
        "convolution": (1, shape["convolution"][0], 3, 3),
        "transposed": (1, shape["transposed"][1], 5, 5),
        "gather": (4, shape["gather"][1]),
    }


# The runtime adds products up in another order from program to program; what differs by that.
TOLERANCE = {"float32": 1e-5, "float16": 2e-3, "bfloat16": 2e-2}


def every_kind(weights: Mapping[str, Array], dtype: Any) -> AIProgram:
    """A program that uses each kind of weight for one of its outputs."""

    def body(x: Value, image: Value, rows: Value) -> Any:
        constants = {kind: constant(weight) for kind, weight in weights.items()}
        return (
            broadcasting_batch_matmul(x, constants["matmul"]),
            linear(x, constants["linear"]),
            broadcasting_batch_matmul(x, constants["heads"]),
            convolution(image, constants["convolution"]),
            transposed_convolution(image, constants["transposed"]),
            gather_nd(constants["gather"], rows),
        )

    inputs: Signature = {name: (shape, dtype) for name, shape in _inputs(weights).items()}
    return make_program(
        body,
        {**inputs, "rows": ((4, 1), np.int32)},
        {name: (shape, dtype) for name, shape in _outputs(weights).items()},
    )


def weights_of(dtype: Any, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> dict[str, Array]:
    return {
        kind: random_weight(shape, dtype, seed) for seed, (kind, shape) in enumerate(shapes.items())
    }


def feed(dtype: Any, shapes: Mapping[str, tuple[int, ...]] = SHAPES) -> dict[str, Array]:
    inputs = _inputs(weights_of(dtype, shapes))
    rows = np.array([[6], [0], [3], [6]], np.int32)
    return {**{n: random_weight(s, dtype, seed=9) for n, s in inputs.items()}, "rows": rows}


def assert_equal_outputs(got: Mapping[str, Array], want: Mapping[str, Array]) -> None:
    assert got.keys() == want.keys()
    for name, expected in want.items():
        assert got[name].dtype == expected.dtype
        actual, exact = got[name].astype(np.float64), expected.astype(np.float64)
        assert np.isfinite(actual).all()
        limit = TOLERANCE[expected.dtype.name] * np.abs(exact).max()
        np.testing.assert_allclose(actual, exact, rtol=0, atol=limit, err_msg=name)
