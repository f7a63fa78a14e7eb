"""On Core AI's runtime a quantized program does what the float program of its weights does."""

import functools
from typing import Any

import numpy as np
import pytest

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import ir
from coreai_opt.reference import WEIGHT_DTYPES

from ..support.every_kind import (
    BLOCKS,
    SHAPES,
    SPECS,
    assert_equal_outputs,
    every_kind,
    feed,
    weights_of,
)
from ..support.programs import (
    F32,
    Array,
    matmul_program,
    random_weight,
    run,
)


@functools.cache
def float_run(spec: str, dtype: Any) -> dict[str, Array]:
    """What the float program of the decoded weights computes, whatever the backend."""
    decoded = {
        kind: quantize_array(
            weight, **SPECS[spec], block_sizes=BLOCKS[kind], backend="reference"
        ).dequantize()
        for kind, weight in weights_of(dtype).items()
    }
    return run(every_kind(decoded, dtype), feed(dtype))


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", SPECS)
def test_every_format_and_kind_of_weight(spec: str, dtype: Any, backend: str) -> None:
    program = every_kind(weights_of(dtype), dtype)
    quantized = quantize_weights(
        program,
        **SPECS[spec],
        granularity="per_block",
        weight_num_threshold=0,
        backend=backend,
    )
    assert len(ir.operations(quantized, ir.BLOCKWISE_SHIFT_SCALE)) == len(SHAPES)
    assert_equal_outputs(run(quantized, feed(dtype)), float_run(spec, dtype))


@pytest.mark.parametrize("granularity", ["per_tensor", "per_channel"])
@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec != "mxfp4"])
def test_rows_that_end_inside_a_byte(spec: str, granularity: str, backend: str) -> None:
    """35 codes: of 2 or 4 bits they cross rows, and the last byte is not full."""
    weight = random_weight((5, 7))
    quantized = quantize_weights(
        matmul_program(weight),
        **SPECS[spec],
        granularity=granularity,
        weight_num_threshold=0,
        backend=backend,
    )
    sizes = (0, 0) if granularity == "per_tensor" else (0, 1)
    expected = quantize_array(weight, **SPECS[spec], block_sizes=sizes).dequantize()
    x = random_weight((3, 5), seed=9)
    assert_equal_outputs(run(quantized, {"x": x}), {"y": (x @ expected).astype(F32)})


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_all_zero_weights_decode_to_zeros(dtype: Any, backend: str) -> None:
    program = matmul_program(np.zeros((32, 5), dtype))
    for spec in SPECS.values():
        quantized = quantize_weights(
            program, **spec, granularity="per_block", weight_num_threshold=0, backend=backend
        )
        y = run(quantized, {"x": random_weight((3, 32), dtype)})["y"]
        assert not y.astype(F32).any()
