"""One step of the program benchmark, in a process of its own; it prints a line of JSON.

``import`` and ``quantize`` run in our environment and in that of coreai-opt alike. ``small`` is for
programs of small weights, and compares with Core AI's own calls.
"""

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Annotated, Any

MIB = 2**20


def build(path: Path, source: str, layers: int, width: int) -> dict[str, Any]:
    """Save a chain of linear layers with weights of their own, as nn.Linear has them."""
    import numpy as np
    from coreai.authoring import AIProgram, Module, TensorType, Value, graph, transpose
    from coreai.authoring import broadcasting_batch_matmul as matmul
    from coreai.authoring.constant import constant

    dtype = np.dtype(source)
    generator = np.random.default_rng(0)
    swapped = np.array([1, 0], np.uint32)

    def weight() -> Any:
        drawn = generator.standard_normal((width, width), np.float32) * np.float32(0.02)
        return constant(drawn.astype(dtype))

    def main(
        x: Annotated[Value, TensorType((1, width), dtype)],
    ) -> Annotated[Value, TensorType((1, width), dtype, name="y")]:
        for _ in range(layers):
            x = matmul(x, transpose(weight(), swapped))
        return x

    module = Module.create()
    with module._block_context():  # as written: without Core AI's own folding of transposes
        graph(main)
    AIProgram(module).save_asset(path)
    return {}


def import_all() -> dict[str, Any]:
    """Time the imports that quantizing a program needs."""
    start = time.perf_counter()
    import coreai.authoring  # noqa: F401  # to time it

    import coreai_opt.coreai_utils  # noqa: F401  # to time it

    return {"seconds": time.perf_counter() - start}


def quantize(path: Path, threads: int | None) -> dict[str, Any]:
    """Quantize a program to INT4 in blocks of 32, in place; ``threads`` is ours alone."""
    from coreai.authoring import AIModelAsset

    from coreai_opt.coreai_utils import CompressionGranularity, DType, quantize_weights

    program = AIModelAsset.load(path).program
    options = {} if threads is None else {"num_threads": threads}
    loaded = _resident()
    start = time.perf_counter()
    quantize_weights(
        program,
        DType.INT4,
        granularity=CompressionGranularity.PER_BLOCK,
        block_size=32,
        in_place=True,
        **options,
    )
    seconds = time.perf_counter() - start
    peak = _peak()
    return {
        "seconds": seconds,
        "loaded_mib": loaded / MIB,
        "peak_mib": peak / MIB,
        "above_mib": (peak - loaded) / MIB,
    }


def small(path: Path) -> dict[str, Any]:
    """Quantize a program of small weights, in turns with Core AI's own calls that this takes.

    Returns:
        seconds of the processor for each weight, the least of five rounds, which other processes
        lengthen as well: ``ours``, and ``bare`` of the calls alone.
    """
    from coreai.authoring import AIModelAsset

    from bare_calls import replace_all
    from coreai_opt.coreai_utils import quantize_weights

    taken = []
    for _ in range(5):
        weights, bare = replace_all(AIModelAsset.load(path).program)
        program = AIModelAsset.load(path).program
        start = time.process_time()
        quantize_weights(
            program, "int4", granularity="per_block", block_size=32, in_place=True, num_threads=1
        )
        taken.append(((time.process_time() - start) / weights, bare / weights))
    ours, bare = map(min, zip(*taken, strict=True))
    return {"ours": ours, "bare": bare}


def _resident() -> int:
    """Bytes in memory now."""
    with Path("/proc/self/statm").open() as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()


def _peak() -> int:
    """Bytes in memory at the most so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    """Do one step."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=("build", "import", "quantize", "small"))
    parser.add_argument("path", type=Path, nargs="?")
    parser.add_argument("--source", default="float32")
    parser.add_argument("--layers", type=int, default=12)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    if arguments.step == "import":
        answer = import_all()
    elif arguments.step == "quantize":
        answer = quantize(arguments.path, arguments.threads)
    elif arguments.step == "small":
        answer = small(arguments.path)
    else:
        answer = build(arguments.path, arguments.source, arguments.layers, arguments.width)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
