"""What Apple's documentation and tests of ``palettize_weights`` and ``sparsify_weights`` ask for.

Written anew for this package: the calls, the ops that have to come out, their types and shapes, on
a linear layer of 2048 x 32 in float32 and float16, as the tests of coreai-opt 0.4.0 have it.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from coreai_opt.coreai_utils import (
    CompressionGranularity,
    DType,
    palettize_weights,
    sparsify_weights,
)
from coreai_opt.evaluation.output_comparison import compare_outputs
from coreai_opt.program import ir

from ..support.programs import linear, make_program, random_weight, run

INPUTS, OUTPUTS = 2048, 32
TYPES = {
    DType.INT8: "si8",
    DType.UINT8: "ui8",
    DType.FP8_E4M3FN: "f8E4M3FN",
    DType.FP8_E5M2: "f8E5M2",
}
"""The element type of each format that entries and values can have."""

Shaped = tuple[tuple[int, ...], str]


@pytest.fixture(params=["f32", "f16"])
def element(request: pytest.FixtureRequest) -> str:
    """The element type of the weight."""
    return str(request.param)


@pytest.fixture
def program(element: str) -> Any:
    dtype = {"f32": np.float32, "f16": np.float16}[element]
    # As nn.Linear starts.
    bound = INPUTS**-0.5
    weight = np.random.default_rng(0).uniform(-bound, bound, (OUTPUTS, INPUTS)).astype(dtype)
    return make_program(
        lambda x: linear(x, weight),
        {"x": ((2, INPUTS), dtype)},
        {"y": ((2, OUTPUTS), dtype)},
    )


def operands(program: Any, op: str) -> list[Shaped]:
    """Shapes and element types of what the only op of a name takes."""
    (found,) = ir.operations(program, op)
    tensors = (ir.static_tensor(value) for value in found.operands)
    return [(tensor.shape, tensor.element) for tensor in tensors if tensor is not None]


def outputs_of(program: Any, element: str) -> Any:
    x = random_weight((2, INPUTS), {"f32": np.float32, "f16": np.float16}[element], seed=1)
    return run(program, {"x": x})


@pytest.mark.parametrize("lut_dtype", [None, *TYPES])
@pytest.mark.parametrize("n_bits", [2, 3, 4, 6, 8])
def test_tables(n_bits: int, lut_dtype: DType | None, program: Any, element: str) -> None:
    palettized = palettize_weights(
        coreai_program=program, lut_dtype=lut_dtype, n_bits=n_bits, weight_num_threshold=0
    )
    indices, table, _ = operands(palettized, ir.LUT_TO_DENSE)
    assert indices == ((OUTPUTS, INPUTS), f"ui{n_bits}")
    entry = element if lut_dtype is None else TYPES[lut_dtype]
    assert table == ((1, 1, 2**n_bits, 1), entry)
    if lut_dtype is None:
        assert not ir.operations(palettized, ir.BLOCKWISE_SHIFT_SCALE)
    else:
        assert operands(palettized, ir.BLOCKWISE_SHIFT_SCALE)[1] == ((1, 1), element)


@pytest.mark.parametrize(
    ("granularity", "group_size", "tables"),
    [
        (CompressionGranularity.PER_TENSOR, 32, 1),
        (CompressionGranularity.PER_CHANNEL, 32, 32),
        (CompressionGranularity.PER_GROUPED_CHANNEL, 16, 2),
    ],
)
def test_granularity_counts_tables(
    granularity: CompressionGranularity, group_size: int, tables: int, program: Any, element: str
) -> None:
    palettized = palettize_weights(
        program, None, granularity=granularity, group_size=group_size, weight_num_threshold=0
    )
    assert operands(palettized, ir.LUT_TO_DENSE)[1] == ((tables, 1, 16, 1), element)


def test_vectors_are_entries_of_tables(program: Any, element: str) -> None:
    palettized = palettize_weights(program, None, cluster_dim=2, weight_num_threshold=0)
    indices, table, _ = operands(palettized, ir.LUT_TO_DENSE)
    assert indices == ((OUTPUTS // 2, INPUTS), "ui4")
    assert table == ((1, 1, 16, 2), element)


@pytest.mark.parametrize("scaled", [True, False])
def test_scales_per_channel_are_asked_for(scaled: bool, program: Any, element: str) -> None:
    palettized = palettize_weights(
        program, None, enable_per_channel_scale=scaled, weight_num_threshold=0
    )
    assert len(ir.operations(palettized, ir.LUT_TO_DENSE)) == 1
    if scaled:
        assert operands(palettized, ir.BLOCKWISE_SHIFT_SCALE)[1] == ((OUTPUTS, 1), element)
    else:
        assert not ir.operations(palettized, ir.BLOCKWISE_SHIFT_SCALE)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_kmeans_workers": 2},
        {"num_kmeans_workers": 1},
        {"enable_fast_kmeans_mode": False},
        {"rounding_precision": 1},
        {"enable_fast_kmeans_mode": False, "rounding_precision": 8},
    ],
)
def test_how_clusters_are_found_makes_no_difference(
    arguments: dict[str, Any], program: Any, element: str
) -> None:
    default, other = (
        palettize_weights(program, None, weight_num_threshold=0, **more) for more in ({}, arguments)
    )
    ours, theirs = outputs_of(default, element), outputs_of(other, element)
    assert ours["y"].tobytes() == theirs["y"].tobytes()
    (compared,) = compare_outputs(outputs_of(program, element), ours)
    assert compared.sqnr_db > 20


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.75])
def test_sparsity_is_what_was_asked_for(sparsity: float, program: Any, element: str) -> None:
    sparse = sparsify_weights(
        coreai_program=program, target_sparsity=sparsity, weight_num_threshold=0
    )
    values, mask = operands(sparse, ir.BUILD_SPARSE)
    assert values == ((round(INPUTS * OUTPUTS * (1 - sparsity)),), element)
    assert mask == ((OUTPUTS, INPUTS), "ui1")
    assert len(ir.operations(sparse, ir.SPARSE_TO_DENSE)) == 1


@pytest.mark.parametrize(
    ("arguments", "stored"),
    [({"target_sparsity": None, "n_m_ratio": (1, 2)}, 0.5), ({"block_size": 4}, 0.5)],
)
def test_structured_sparsity(
    arguments: dict[str, Any], stored: float, program: Any, element: str
) -> None:
    sparse = sparsify_weights(program, weight_num_threshold=0, **arguments)
    values, _ = operands(sparse, ir.BUILD_SPARSE)
    assert values == ((round(INPUTS * OUTPUTS * stored),), element)


@pytest.mark.parametrize("dtype", TYPES)
def test_sparse_values_are_quantized(dtype: DType, program: Any, element: str) -> None:
    sparse = sparsify_weights(program, 0.5, quantize_dtype=dtype, weight_num_threshold=0)
    assert len(ir.operations(sparse, ir.SPARSE_TO_DENSE)) == 1
    data, scale, *_ = operands(sparse, ir.BLOCKWISE_SHIFT_SCALE)
    assert (data[1], scale[1]) == (TYPES[dtype], element)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_sparse_values_are_palettized(bits: int, program: Any, element: str) -> None:
    sparse = sparsify_weights(program, 0.5, palettize_nbits=bits, weight_num_threshold=0)
    indices, table, _ = operands(sparse, ir.LUT_TO_DENSE)
    assert indices == ((INPUTS * OUTPUTS // 2,), f"ui{bits}")
    assert table == ((1, 2**bits, 1), element)
    assert operands(sparse, ir.BUILD_SPARSE)[0] == ((INPUTS * OUTPUTS // 2,), element)
    assert not ir.operations(sparse, ir.BLOCKWISE_SHIFT_SCALE)


def _palettize(program: Any, **arguments: Any) -> Any:
    return palettize_weights(program, None, **arguments)


BOTH = pytest.mark.parametrize("compress", [_palettize, sparsify_weights])
COMPRESSED = (ir.LUT_TO_DENSE, ir.SPARSE_TO_DENSE)


@BOTH
def test_weights_below_the_threshold_are_left(compress: Callable[..., Any], program: Any) -> None:
    left = compress(program, weight_num_threshold=INPUTS * OUTPUTS)
    assert not ir.operations(left, *COMPRESSED)
    assert ir.operations(compress(program, weight_num_threshold=INPUTS * OUTPUTS - 1), *COMPRESSED)


@BOTH
def test_in_place_or_a_copy(compress: Callable[..., Any], program: Any) -> None:
    copy = compress(program, weight_num_threshold=0)
    assert copy is not program
    assert not ir.operations(program, *COMPRESSED)
    assert ir.operations(copy, *COMPRESSED)
    assert compress(program, weight_num_threshold=0, in_place=True) is program
    assert ir.operations(program, *COMPRESSED)
