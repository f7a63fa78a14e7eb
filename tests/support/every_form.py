"""Every form of look-up tables and sparse weights, and a program of weights in each."""

from typing import Any

import ml_dtypes
import numpy as np

from coreai_opt.coreai_utils import palettize_weights, sparsify_weights


def shapes_of(dtype: Any) -> dict[str, tuple[int, ...]]:
    """Every kind of weight, with output channels that groups of 4 divide.

    A float32 channel has 384 elements: with fewer than 342, a table of 256 entries for each would
    take more than the weight.
    """
    inputs = 384 if dtype == np.float32 else 64
    return {
        "matmul": (inputs, 8),
        "linear": (8, inputs),
        "heads": (2, inputs, 8),
        "convolution": (8, inputs // 2, 2, 2),
        "transposed": (inputs // 2, 8, 2, 2),
        "gather": (8, inputs),
    }


BITS = (1, 2, 3, 4, 6, 8)
ENTRIES = ("int8", "uint8", "fp8_e4m3fn", "fp8_e5m2")
SHARED: dict[str, dict[str, Any]] = {
    "tensor": {"granularity": "per_tensor"},
    "groups": {"granularity": "per_grouped_channel", "group_size": 4},
    "channels": {"granularity": "per_channel"},
}
CHANNEL_SCALES = {"enable_per_channel_scale": True}
BLOCK_SCALES = {"scale_block_size": 32}

TABLES: dict[str, dict[str, Any]] = {
    **{
        f"{bits} bits, {name}": {"n_bits": bits, **shared}
        for bits in BITS
        for name, shared in SHARED.items()
    },
    **{
        f"{entries} entries, {name}": {"lut_dtype": entries, **SHARED[name]}
        for entries in ENTRIES
        for name in ("tensor", "groups")
    },
    "channel scales": CHANNEL_SCALES,
    "channel scales, groups": {**CHANNEL_SCALES, **SHARED["groups"]},
    **{
        f"{entries} entries, channel scales": {"lut_dtype": entries, **CHANNEL_SCALES}
        for entries in ENTRIES
    },
    **{f"{bits} bits, block scales": {"n_bits": bits, **BLOCK_SCALES} for bits in BITS},
    "block scales, groups": {**BLOCK_SCALES, **SHARED["groups"]},
    "uint8 entries, block scales": {"lut_dtype": "uint8", **BLOCK_SCALES},
    "searched block scales": {"observer": "mse", **BLOCK_SCALES},
    "searched block scales, groups": {"observer": "mse", **BLOCK_SCALES, **SHARED["groups"]},
    "searched channel scales": {"observer": "mse", **CHANNEL_SCALES},
    **{f"{bits} bits, vectors of 2": {"n_bits": bits, "cluster_dim": 2} for bits in BITS},
    "vectors of 4, groups": {"cluster_dim": 4, **SHARED["groups"]},
    "int8 entries, vectors of 2, groups": {
        "lut_dtype": "int8",
        "cluster_dim": 2,
        **SHARED["groups"],
    },
}

SPARSE: dict[str, dict[str, Any]] = {
    "values": {},
    "values, blocks": {"block_size": 4},
    "values, 2 of 4": {"target_sparsity": None, "n_m_ratio": (2, 4)},
    **{f"{dtype} values": {"quantize_dtype": dtype} for dtype in ENTRIES},
    **{f"{bits} bits": {"palettize_nbits": bits} for bits in BITS},
}

# Of forms with the same ops those that 16-bit weights are tried with.
IN_16_BITS = [
    ("table", name)
    for name in (
        "3 bits, channels",
        "int8 entries, groups",
        "channel scales",
        "3 bits, block scales",
        "searched block scales",
        "3 bits, vectors of 2",
    )
] + [("sparse", name) for name in ("values", "int8 values", "uint8 values", "3 bits")]

CASES = [
    *(("table", name, np.float32) for name in TABLES),
    *(("sparse", name, np.float32) for name in SPARSE),
    *((*case, dtype) for case in IN_16_BITS for dtype in (np.float16, ml_dtypes.bfloat16)),
]

CASE_NAMES = [f"{what}: {name}, {np.dtype(dtype)}" for what, name, dtype in CASES]


def compress(program: Any, what: str, name: str) -> Any:
    if what == "table":
        return palettize_weights(
            program, **{"lut_dtype": None, **TABLES[name]}, weight_num_threshold=0
        )
    return sparsify_weights(program, **SPARSE[name], weight_num_threshold=0)
