"""One contender's searched 4-bit formats, in a process and environment of its own.

Prints a line of JSON: for each format its name, the bits that a weight takes with all that is
stored, the seconds of the fastest call and the SQNR in dB of what it decodes to. Seconds are the
process's own, so that other work on the machine counts less; all of them run on one thread. Run as
``python search_child.py CONTENDER SIZE``.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weights import make_weight

ROUNDS = 5
BUDGET = 4.0
"""Seconds after which there are no more rounds."""

Row = tuple[str, float, Callable[[], Any], Callable[[Any], np.ndarray]]
"""A format's name, its bits, a function that quantizes, and one that decodes what that gave."""


def ours(weight: np.ndarray) -> Iterator[Row]:
    """Float16 weights, and so float16 scales; a zero point takes as many bits as a code."""
    from coreai_opt import quantize_array

    half = weight.astype(np.float16)
    for dtype, scheme, block, extra in (
        ("int4", "symmetric", 32, 16),
        ("int4", "symmetric", 16, 16),
        ("uint4", "asymmetric", 32, 20),
        ("uint4", "asymmetric", 16, 20),
    ):
        for observer in ("minmax", "mse"):

            def quantize(*, dtype=dtype, scheme=scheme, block=block, observer=observer) -> Any:
                return quantize_array(
                    half,
                    dtype,
                    qscheme=scheme,
                    block_sizes=(1, block),
                    observer=observer,
                    backend="native",
                    num_threads=1,
                )

            name = f"{dtype.upper()} {scheme}, block {block}, {observer}"
            yield name, 4 + extra / block, quantize, lambda result: result.dequantize()


def ggml(weight: np.ndarray) -> Iterator[Row]:
    """Q4_0 and Q4_1, with all importances equal: that is what makes it search."""
    import ctypes

    import ggml

    floats = ctypes.POINTER(ctypes.c_float)
    rows, columns = weight.shape
    equal = np.ones(columns, np.float32).ctypes
    source = weight.ctypes.data_as(floats)
    for name, kind, numbers in (("Q4_0", ggml.GGML_TYPE_Q4_0, 1), ("Q4_1", ggml.GGML_TYPE_Q4_1, 2)):
        block_bytes = 2 * numbers + 16
        ggml.ggml_quantize_init(kind)
        for searched in (False, True):

            def quantize(*, kind=kind, size=block_bytes, searched=searched) -> Any:
                result = np.empty((weight.size // 32, size), np.uint8)
                importance = equal.data_as(floats) if searched else None
                ggml.ggml_quantize_chunk(
                    kind, source, result.ctypes.data, 0, rows, columns, importance
                )
                return result

            def decode(result: np.ndarray, *, numbers=numbers) -> np.ndarray:
                head = np.ascontiguousarray(result[:, : 2 * numbers]).view(np.float16)
                codes = result[:, 2 * numbers :]
                codes = np.concatenate([codes & 15, codes >> 4], axis=1).astype(np.float64)
                lowest = -8.0 * head[:, :1] if numbers == 1 else head[:, 1:]
                return (head[:, :1] * codes + lowest).reshape(weight.shape)

            label = f"{name}, imatrix" if searched else name
            yield label, block_bytes * 8 / 32, quantize, decode


def torchao(weight: np.ndarray) -> Iterator[Row]:
    """HQQ: with zero points that are numbers, and with scales alone. Nothing is packed."""
    import torch
    from torchao.quantization import quant_primitives as primitives

    torch.set_num_threads(1)
    tensor = torch.from_numpy(weight)

    def affine() -> Any:
        return primitives._choose_qparams_and_quantize_affine_hqq(
            tensor,
            nbits=4,
            group_size=32,
            axis=1,
            compute_dtype=torch.float32,
            device="cpu",
            raw_output=True,
        )

    def decode_affine(result: Any) -> np.ndarray:
        codes, scale, zero = (part.double() for part in result[:3])
        groups = (codes.reshape(-1, 32) - zero.reshape(-1, 1)) * scale.reshape(-1, 1)
        return groups.reshape(weight.shape).numpy()

    def scale_only() -> Any:
        return primitives._choose_qparams_and_quantize_scale_only_hqq(tensor, [1, 32], -8, 7)

    def decode_scale_only(result: Any) -> np.ndarray:
        codes, scale = (part.double() for part in result)
        return (codes.reshape(-1, 32) * scale.reshape(-1, 1)).reshape(weight.shape).numpy()

    yield "HQQ affine, group 32", 5.0, affine, decode_affine
    yield "HQQ scale only, group 32", 4.5, scale_only, decode_scale_only


def measure(weight: np.ndarray, row: Row) -> dict[str, Any]:
    """Return the name, bits, seconds and SQNR of a row."""
    name, bits, quantize, decode = row
    times: list[float] = []
    while len(times) < ROUNDS and sum(times) < BUDGET:
        start = time.process_time()
        result = quantize()
        times.append(time.process_time() - start)
    error = weight.astype(np.float64) - decode(result)
    sqnr = 10 * np.log10(np.sum(weight.astype(np.float64) ** 2) / np.sum(error**2))
    return {"name": name, "bits": bits, "seconds": min(times), "sqnr": float(sqnr)}


def main() -> None:
    """Measure one contender."""
    contender, size = sys.argv[1], int(sys.argv[2])
    weight = make_weight("float32", (size, size))
    rows = {"ours": ours, "ggml": ggml, "torchao": torchao}[contender](weight)
    print(json.dumps([measure(weight, row) for row in rows]))


if __name__ == "__main__":
    main()
