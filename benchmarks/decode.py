"""Decoding: every format to every type against a floor.

The floor reads the codes once and fills the result. In an environment that has the package:

    .venv-test/bin/python benchmarks/decode.py [ROWS COLUMNS]

One thread, into an array that has been written before. Both take turns; the least of each one's
processor times counts, which other processes disturb least.
"""

import sys
import time
from collections.abc import Callable

import ml_dtypes
import numpy as np

from coreai_opt import quantize_array
from coreai_opt.arrays import memory
from weights import make_weight

FORMATS = {
    "INT2": {"dtype": "int2"},
    "INT4": {"dtype": "int4"},
    "UINT4 asymmetric": {"dtype": "uint4", "qscheme": "asymmetric"},
    "INT8": {"dtype": "int8"},
    "FP8 E4M3": {"dtype": "fp8_e4m3fn"},
    "FP8 E5M2": {"dtype": "fp8_e5m2"},
    "MXFP4": {"dtype": "fp4_e2m1fn"},
}
TYPES = {"float32": np.float32, "float16": np.float16, "bfloat16": ml_dtypes.bfloat16}
BLOCKS = {"last": (1, 32), "earlier": (32, 1)}
TURNS = 25


def least_times(*calls: Callable[[], object]) -> list[float]:
    """Seconds of the processor for each call, taking turns."""
    times: list[list[float]] = [[] for _ in calls]
    for _ in range(TURNS):
        for call, found in zip(calls, times, strict=True):
            start = time.thread_time()
            call()
            found.append(time.thread_time() - start)
    return [min(found) for found in times]


def main() -> None:
    """Print a table in Markdown: GB/s of codes read and numbers written, and the floor's share."""
    shape = tuple(map(int, sys.argv[1:3])) or (4096, 4096)
    types = [f"{name}, {what}" for name in TYPES for what in ("GB/s", "/ floor")]
    print("| format | axis of blocks | " + " | ".join(types) + " |\n" + "|---" * 8 + "|")
    for name, arguments in FORMATS.items():
        for axis, block_sizes in BLOCKS.items():
            row = [name, axis]
            for type_name, dtype in TYPES.items():
                weight = make_weight(type_name, shape).view(dtype)
                stored = quantize_array(weight, block_sizes=block_sizes, **arguments)
                out = memory.empty(shape, dtype)  # as dequantize() makes them
                out.fill(0)
                codes, result = stored.packed.view(np.uint64), out.reshape(-1).view(np.uint8)

                def floor(codes: np.ndarray = codes, result: np.ndarray = result) -> None:
                    np.bitwise_or.reduce(codes)
                    np.copyto(result, 1)

                def decode(stored: object = stored, out: np.ndarray = out) -> None:
                    stored.dequantize(out=out, num_threads=1)

                least = least_times(floor, decode)
                size = stored.packed.nbytes + out.nbytes
                row += [f"{size / least[1] / 1e9:.1f}", f"{least[0] / least[1]:.2f}"]
            print("| " + " | ".join(row) + " |", flush=True)


if __name__ == "__main__":
    main()
