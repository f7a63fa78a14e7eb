"""One contender's rounding with second moments, in a process and environment of its own.

All are given one weight and the same inputs to calibrate on, or their second moments H = mean of
x·xᵀ, which takes no part in the time. Prints a line of JSON: for each format its name, the bits
that a weight takes with scales of 16 bits, the seconds from H to the result, and the SQNR in dB of
the outputs of what that decodes to, on other inputs. Seconds are the process's own, so that other
work on the machine counts less; all run on one thread. Run as ``python calibrated_child.py
CONTENDER SIZE``.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from weights import make_weight

ROUNDS = 3
BUDGET = 30.0
"""Seconds after which there are no more rounds."""
BLOCK = 32
DAMPING = 0.01
"""What is added to the diagonal of H, in parts of its mean: the default of all peers."""

Row = tuple[str, float, Callable[[], Any], Callable[[Any], np.ndarray]]
"""A format's name, its bits, a function that quantizes, and one that decodes what that gave."""


def make_inputs(columns: int, seed: int, rows: int) -> np.ndarray:
    """Return inputs whose channels are correlated and unlike in size, ``[rows, columns]``."""
    mixing = np.random.default_rng(0)
    rank = columns // 4
    shared = mixing.standard_normal((rank, columns), np.float32) / rank**0.5
    sizes = np.exp(mixing.standard_normal(columns)).astype(np.float32)
    random = np.random.default_rng(seed)
    common = random.standard_normal((rows, rank), np.float32) @ shared
    return (common + random.standard_normal((rows, columns), np.float32) / 4) * sizes


def ours(weight: np.ndarray, _: np.ndarray, moments: np.ndarray) -> Iterator[Row]:
    """Float16 weights, and so float16 scales; with the scales that a calibration brings."""
    from coreai_opt import Feedback, quantize_array

    half = weight.astype(np.float16)
    for dtype, scheme, block, extra in (
        ("int4", "symmetric", BLOCK, 16 / BLOCK),
        ("uint4", "asymmetric", BLOCK, 20 / BLOCK),
        ("uint4", "asymmetric", 2 * BLOCK, 20 / 2 / BLOCK),
        ("int4", "symmetric", 0, 16 / weight.shape[1]),
    ):

        def quantize(*, dtype=dtype, scheme=scheme, block=block) -> Any:
            return quantize_array(
                half,
                dtype,
                qscheme=scheme,
                block_sizes=(1, block),
                observer="mse",
                feedback=Feedback.from_moments(moments, damping=DAMPING),
                backend="native",
                num_threads=1,
            )

        yield _name(dtype, scheme, block), 4 + extra, quantize, lambda result: result.dequantize()


def _name(dtype: str, scheme: str, block: int) -> str:
    return f"{dtype.upper()} {scheme}, {f'block {block}' if block else 'per channel'}"


def coremltools(weight: np.ndarray, _: np.ndarray, moments: np.ndarray) -> Iterator[Row]:
    """``optimize.torch``'s GPTQ of a layer, which is given H instead of collecting it."""
    import torch
    from coremltools.optimize.torch.layerwise_compression.algorithms import GPTQ, ModuleGPTQConfig

    torch.set_num_threads(1)
    for block in (BLOCK, None):
        for ordered in (False, True):

            def quantize(*, block=block, ordered=ordered) -> Any:
                layer = torch.nn.Linear(*weight.shape[::-1], bias=False)
                layer.weight.data = torch.from_numpy(weight.copy())
                config = ModuleGPTQConfig(
                    weight_dtype="uint4",
                    granularity="per_block" if block else "per_channel",
                    block_size=block,
                    quantization_scheme="symmetric",
                    use_activation_order_heuristic=ordered,
                )
                work = GPTQ(layer, config)
                work._hessian = torch.from_numpy(moments.copy())
                # What it prints at the end are the errors of inputs that it was not shown.
                work._inp1, work._out1 = torch.zeros(1, weight.shape[1]), torch.zeros(1, 1)
                work._compress_impl()
                return layer.weight.data.numpy()

            name = _name("int4", "symmetric", block or 0) + (", ordered" if ordered else "")
            yield name, 4 + 16 / (block or weight.shape[1]), quantize, np.asarray


def llmcompressor(weight: np.ndarray, _: np.ndarray, moments: np.ndarray) -> Iterator[Row]:
    """The function that rounds; scales are of its observers, of the largest weight and searched."""
    import torch
    from compressed_tensors.quantization import QuantizationArgs
    from llmcompressor.modifiers.gptq.gptq_quantize import quantize_weight
    from llmcompressor.observers import Observer

    torch.set_num_threads(1)
    for observer in ("memoryless_minmax", "memoryless_mse"):
        for block in (BLOCK, 0):

            def quantize(*, observer=observer, block=block) -> Any:
                arguments = QuantizationArgs(
                    num_bits=4,
                    symmetric=True,
                    strategy="group" if block else "channel",
                    group_size=block or None,
                    actorder="static",
                    observer=observer,
                )
                tensor = torch.from_numpy(weight.copy())
                watching = Observer.load_from_registry(observer, base_name="weight", args=arguments)
                found = watching(tensor).get_qparams()
                result, _, _ = quantize_weight(
                    tensor[None],
                    torch.from_numpy(moments.copy())[None],
                    found["scale"][None],
                    found["zero_point"][None],
                    None,
                    arguments,
                )
                return result[0].numpy()

            name = f"{_name('int4', 'symmetric', block)}, {observer.partition('_')[2]}"
            yield name, 4 + 16 / (block or weight.shape[1]), quantize, np.asarray


def mlx_lm(weight: np.ndarray, inputs: np.ndarray, _: np.ndarray) -> Iterator[Row]:
    """Its GPTQ of a model of one layer; it sums H up itself, so that the time has this in it."""
    import mlx.core as mx
    from mlx import nn
    from mlx_lm.quant.gptq import gptq_quantize

    mx.set_default_device(mx.cpu)
    data = mx.array(inputs)
    for block in (BLOCK, 2 * BLOCK):

        def quantize(*, block=block) -> Any:
            model = nn.Sequential(nn.Linear(*weight.shape[::-1], bias=False))
            model.layers[0].weight = mx.array(weight)
            gptq_quantize(model, data, 4, block, 8, block, batch_size=len(inputs))
            mx.eval(model.parameters())
            return model.layers[0]

        def decode(layer: Any, *, block=block) -> np.ndarray:
            return np.array(
                mx.dequantize(layer.weight, layer.scales, layer.biases, group_size=block, bits=4)
            )

        yield _name("uint4", "asymmetric", block), 4 + 32 / block, quantize, decode


CONTENDERS = {
    "ours": ours,
    "coremltools": coremltools,
    "llmcompressor": llmcompressor,
    "mlx_lm": mlx_lm,
}


def main() -> None:
    """Print the contender's rows."""
    contender, size = sys.argv[1], int(sys.argv[2])
    weight = make_weight("float32", (size, size))
    inputs = make_inputs(size, 1, 4 * size)
    moments = inputs.T @ inputs / len(inputs)
    wanted = (others := make_inputs(size, 2, 1024)) @ weight.T
    rows = []
    for name, bits, quantize, decode in CONTENDERS[contender](weight, inputs, moments):
        seconds, result = _fastest(quantize)
        decoded = np.asarray(decode(result), np.float32)
        noise = np.sum((wanted - others @ decoded.T).astype(np.float64) ** 2)
        sqnr = 10 * np.log10(np.sum(wanted.astype(np.float64) ** 2) / noise)
        rows.append({"name": name, "bits": bits, "seconds": seconds, "sqnr": float(sqnr)})
    print(json.dumps(rows))


def _fastest(call: Callable[[], Any]) -> tuple[float, Any]:
    start, times = time.perf_counter(), []
    while not times or (len(times) < ROUNDS and time.perf_counter() - start < BUDGET):
        before = time.process_time()
        result = call()
        times.append(time.process_time() - before)
    return min(times), result


if __name__ == "__main__":
    main()
