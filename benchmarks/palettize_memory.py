"""How much memory look-up tables take beside the weight and the result.

Prints a line for each form. Run as ``python palettize_memory.py [SIZE]``.
"""

import sys
import tracemalloc

import numpy as np

from coreai_opt import palettize_array
from weights import make_weight

GROUPS, ROWS = {"block_sizes": (32, 0)}, {"block_sizes": (1, 0)}
CHANNELS, BLOCKS = {"scale_block_sizes": (1, 0)}, {"scale_block_sizes": (1, 32)}


def main() -> None:
    """Measure each form of one float16 weight at 4 bits, on one thread."""
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 4096
    weight = make_weight("float16", (size, size))
    importance = {"importance": np.linspace(0, 1, size, dtype=np.float32).reshape(1, size)}
    for name, arguments in (
        ("one table", {}),
        ("one table, importance", importance),
        ("groups of 32 rows", GROUPS),
        ("per row", ROWS),
        ("one table, scales of channels", CHANNELS),
        ("one table, scales of blocks of 32", BLOCKS),
        ("one table, scales of blocks of 32, importance", {**BLOCKS, **importance}),
        ("groups, scales of blocks of 32", {**GROUPS, **BLOCKS}),
        ("groups, scales of channels, importance", {**GROUPS, **CHANNELS, **importance}),
        ("vectors of 2", {"cluster_dim": 2}),
    ):
        tracemalloc.start()
        found = palettize_array(weight, 4, **arguments, backend="native", num_threads=1)
        peak = tracemalloc.get_traced_memory()[1] - found.nbytes
        tracemalloc.stop()
        print(f"{name}: {peak / (1 << 20):.1f} MiB")


if __name__ == "__main__":
    main()
