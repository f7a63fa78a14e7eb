"""One contender's look-up tables, in a process and environment of its own.

Prints a line of JSON like ``search_child.py``, of rows that also say which part of the benchmark
they belong to, which numbers the weight has, its dtype and how many. Run as
``python palettize_child.py CONTENDER SIZE LARGE``: speeds are of LARGE x LARGE weights, all else of
SIZE x SIZE.
"""

import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from search_child import Row, measure
from weights import SIGMA

GROUP = 32
"""Rows that share a table, and elements of a row that share a scale."""

DRAWS: dict[str, Callable[[np.random.Generator, tuple[int, int]], np.ndarray]] = {
    "normal": lambda rng, shape: rng.standard_normal(shape, np.float32),
    "Student's t": lambda rng, shape: rng.standard_t(5, shape),
    "Laplace": lambda rng, shape: rng.laplace(size=shape),
}
"""What weights are drawn from; of Student's t with 5 degrees of freedom."""

Arguments = dict[str, Any]
GROUPS: Arguments = {"block_sizes": (GROUP, 0)}
ROWS: Arguments = {"block_sizes": (1, 0)}
SCALES: Arguments = {"scale_block_sizes": (1, GROUP)}
SEARCHED: Arguments = {**SCALES, "observer": "mse"}


def make_weight(draw: str, dtype: str, size: int) -> np.ndarray:
    """Return a weight of size x size."""
    weight = DRAWS[draw](np.random.default_rng(0), (size, size))
    return (SIGMA * weight).astype(dtype)


def row_of(weight: np.ndarray, name: str, index_bits: int, bits: float, **arguments: Any) -> Row:
    """Return our tables of a weight as a row."""
    from coreai_opt import palettize_array

    return (
        name,
        bits,
        lambda: palettize_array(weight, index_bits, **arguments, backend="native", num_threads=1),
        lambda result: result.dequantize(np.float32),
    )


def kinds(weight: np.ndarray) -> Iterator[Row]:
    """Return what peers have as well: tables for all, for groups of rows, for rows, of vectors."""
    columns = weight.shape[1]
    yield row_of(weight, "4 bits", 4, 4)
    yield row_of(weight, "6 bits", 6, 6)
    yield row_of(weight, "4 bits, groups of 32 rows", 4, 4 + 256 / GROUP / columns, **GROUPS)
    yield row_of(weight, "4 bits, per row", 4, 4 + 256 / columns, **ROWS)
    yield row_of(weight, "4 bits, vectors of 2", 4, 2, cluster_dim=2)


def blocks(weight: np.ndarray) -> Iterator[Row]:
    """Return one table and a scale for each block of 32, which no peer has."""
    for bits in (4, 3):
        name = f"{bits} bits, scales of blocks of 32"
        yield row_of(weight, name, bits, bits + 16 / GROUP, **SCALES)
        yield row_of(weight, f"{name}, searched", bits, bits + 16 / GROUP, **SEARCHED)


def speeds(weight: np.ndarray) -> Iterator[Row]:
    """Return the kinds of which the project says how fast they have to be, and decoding."""
    from coreai_opt import palettize_array

    yield row_of(weight, "per tensor", 4, 4)
    for bits in (4, 3):
        found = palettize_array(weight, bits, num_threads=1)
        yield (
            f"decoding {bits} bits",
            float(bits),
            lambda found=found: found.dequantize(backend="native", num_threads=1),
            lambda decoded: decoded,
        )
    if weight.dtype == np.float16:
        yield row_of(weight, "groups of 32 rows", 4, 4 + 256 / GROUP / len(weight), **GROUPS)
        yield row_of(weight, "per channel", 4, 4 + 256 / len(weight), **ROWS)


def coreai_opt_apple(weight: np.ndarray) -> Iterator[Row]:
    """What ``palettize_weights`` does with a float16 weight, without packing.

    It has kmeans1d for tables of many single numbers, and scikit-learn for others and vectors.
    """
    from coreai_opt.coreai_utils._utils.palettize_utils import _blockwise_compress

    return of_apple(weight, _blockwise_compress, lambda: np.round(weight, decimals=4))


def coremltools(weight: np.ndarray) -> Iterator[Row]:
    """What ``optimize.coreml.palettize_weights`` does, without packing: k-means of scikit-learn."""
    from coremltools.optimize.coreml._quantization_passes import palettize_weights

    return of_apple(weight, palettize_weights.blockwise_compress, lambda: weight)


def of_apple(
    weight: np.ndarray, compress: Callable[..., Any], read: Callable[[], np.ndarray]
) -> Iterator[Row]:
    """Return the kinds that a function of Apple's packages makes of what ``read`` returns."""
    columns = weight.shape[1]
    for name, bits, extra, block, vector in (
        ("4 bits", 4, 0, 0, 1),
        ("6 bits", 6, 0, 0, 1),
        ("4 bits, groups of 32 rows", 4, 256 / GROUP / columns, GROUP, 1),
        ("4 bits, per row", 4, 256 / columns, 1, 1),
        ("4 bits, vectors of 2", 4, 0, 0, 2),
    ):

        def palettize(*, bits=bits, block=block, vector=vector) -> Any:
            return compress(read(), "KMEANS", bits, [block, 0], cluster_dim=vector, channel_axis=0)

        yield name, bits / vector + extra, palettize, lambda result: decode(result, weight.shape)


def decode(result: Any, shape: tuple[int, int]) -> np.ndarray:
    """Decode what Apple's packages make of a weight, indices and tables."""
    tables = result.lut.reshape(-1, *result.lut.shape[-2:]).astype(np.float64)
    indices = result.indices
    of_row = np.arange(len(indices)) * len(tables) // len(indices)
    vectors = tables[of_row[:, np.newaxis], indices]
    return np.moveaxis(vectors, 2, 1).reshape(shape)


def kmeans1d(weight: np.ndarray) -> Iterator[Row]:
    """The exact table of all numbers by the package itself, with entries of float16."""
    import kmeans1d as package

    for bits in (4, 6):
        yield (
            f"{bits} bits",
            float(bits),
            lambda bits=bits: package.cluster(weight.reshape(-1), 1 << bits),
            lambda result: np.float16(result.centroids)[result.clusters].reshape(weight.shape),
        )


PEERS = {
    "coreai_opt_apple": coreai_opt_apple,
    "coremltools": coremltools,
    "kmeans1d": kmeans1d,
}


def main() -> None:
    """Measure one contender."""
    contender, size, large = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    parts: list[tuple[str, Callable[[np.ndarray], Iterator[Row]], str, str, int]]
    if contender == "ours":
        parts = [
            ("kinds", kinds, "normal", "float16", size),
            *(("blocks", blocks, draw, "float16", size) for draw in DRAWS),
            *(("speeds", speeds, "normal", dtype, large) for dtype in ("float16", "float32")),
        ]
    else:
        parts = [("kinds", PEERS[contender], "normal", "float16", size)]
    found = []
    for part, rows, draw, dtype, length in parts:
        weight = make_weight(draw, dtype, length)
        about = {"part": part, "draw": draw, "dtype": dtype, "weights": weight.size}
        found += [{**about, **measure(weight, row)} for row in rows(weight)]
    print(json.dumps(found))


if __name__ == "__main__":
    main()
