"""One contender's look-up tables, in a process and environment of its own.

Prints a line of JSON like ``search_child.py``, of float16 weights. Run as
``python palettize_child.py CONTENDER SIZE``.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np

from search_child import Row, measure
from weights import make_weight

GROUP = 32
"""Rows that share a table."""


def ours(weight: np.ndarray) -> Iterator[Row]:
    """Exact tables; then the forms that no peer has."""
    from coreai_opt import palettize_array

    columns = weight.shape[1]
    for name, index_bits, bits, arguments in (
        ("4 bits", 4, 4, {}),
        ("6 bits", 6, 6, {}),
        ("4 bits, groups of 32 rows", 4, 4 + 256 / GROUP / columns, {"block_sizes": (GROUP, 0)}),
        ("4 bits, per row", 4, 4 + 256 / columns, {"block_sizes": (1, 0)}),
        ("4 bits, vectors of 2", 4, 2, {"cluster_dim": 2}),
        ("4 bits, scales of blocks of 32", 4, 4.5, {"scale_block_sizes": (1, 32)}),
        (
            "4 bits, searched scales of blocks of 32",
            *(4, 4.5, {"scale_block_sizes": (1, 32), "observer": "mse"}),
        ),
    ):

        def palettize(*, index_bits=index_bits, arguments=arguments) -> Any:
            return palettize_array(weight, index_bits, **arguments, backend="native", num_threads=1)

        yield name, bits, palettize, lambda result: result.dequantize(np.float32)


def coreai_opt_apple(weight: np.ndarray) -> Iterator[Row]:
    """What ``palettize_weights`` does with a float16 weight, without packing.

    It has kmeans1d for tables of many single numbers, and scikit-learn for others and vectors.
    """
    from coreai_opt.coreai_utils._utils.palettize_utils import _blockwise_compress

    columns = weight.shape[1]
    for name, bits, extra, block, vector in (
        ("4 bits", 4, 0, 0, 1),
        ("6 bits", 6, 0, 0, 1),
        ("4 bits, groups of 32 rows", 4, 256 / GROUP / columns, GROUP, 1),
        ("4 bits, per row", 4, 256 / columns, 1, 1),
        ("4 bits, vectors of 2", 4, 0, 0, 2),
    ):

        def palettize(*, bits=bits, block=block, vector=vector) -> Any:
            rounded = np.round(weight.astype(np.float16), decimals=4)
            return _blockwise_compress(
                rounded, "KMEANS", bits, [block, 0], cluster_dim=vector, channel_axis=0
            )

        def decode(result: Any) -> np.ndarray:
            tables = result.lut.reshape(-1, *result.lut.shape[-2:]).astype(np.float64)
            indices = result.indices
            of_row = np.arange(len(indices)) * len(tables) // len(indices)
            vectors = tables[of_row[:, np.newaxis], indices]
            return np.moveaxis(vectors, 2, 1).reshape(weight.shape)

        yield name, bits / vector + extra, palettize, decode


def main() -> None:
    """Measure one contender."""
    contender, size = sys.argv[1], int(sys.argv[2])
    weight = make_weight("float16", (size, size))
    rows = {"ours": ours, "coreai_opt_apple": coreai_opt_apple}[contender](weight)
    print(json.dumps([measure(weight, row) for row in rows]))


if __name__ == "__main__":
    main()
