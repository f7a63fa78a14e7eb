"""A program as large as a language model of a billion weights: seconds and memory by stage.

    python benchmarks/large_program.py FOLDER

builds a float16 program of 2.35 GB in FOLDER (24 layers of width 2048), once, and measures in
processes of their own

    stages       importing, loading, quantizing and saving, each apart
    command      ``coreai-opt quantize``, plainly, with a report, and with a size to reach
    copies       what eight results in a row leave in memory
    anew         the same, given the asset, of which each result's program is loaded anew

FOLDER should be on a disk with 8 GB to spare; the results are removed, the program stays there.
Memory is what is not backed by a file (``RssAnon``), at its peak: Core AI maps programs.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NamedTuple

LAYERS, WIDTH, HIDDEN = 24, 2048, 5248
MB = 10**6
FORMAT = ("--dtype", "int4", "--granularity", "per_block")
COMMANDS = {
    "plain": FORMAT,
    "report": (*FORMAT, "--report", "{folder}/report.json"),
    "mse": (*FORMAT, "--observer", "mse"),
    "target-size": ("--target-size", "{target}"),
}


def build(path: Path, layers: int, rows: int = 1) -> None:
    """Save a program of ``layers`` layers, each with four square weights and three of an MLP.

    It takes ``rows`` rows at a time.
    """
    import numpy as np
    from coreai.authoring import AIProgram, Module, TensorType, Value, graph, mul, transpose
    from coreai.authoring import broadcasting_batch_matmul as matmul
    from coreai.authoring.constant import constant

    generator = np.random.default_rng(0)
    swapped = np.array([1, 0], np.uint32)
    half = np.dtype(np.float16)

    def linear(x: Any, inputs: int, outputs: int) -> Any:
        weight = generator.standard_normal((outputs, inputs), np.float32) * np.float32(0.02)
        return matmul(x, transpose(constant(weight.astype(half)), swapped))

    def main(
        x: Annotated[Value, TensorType((rows, WIDTH), half)],
    ) -> Annotated[Value, TensorType((rows, WIDTH), half, name="y")]:
        for _ in range(layers):
            for _ in range(4):
                x = linear(x, WIDTH, WIDTH)
            gated = mul(linear(x, WIDTH, HIDDEN), linear(x, WIDTH, HIDDEN))
            x = linear(gated, HIDDEN, WIDTH)
        return x

    module = Module.create()
    with module._block_context():  # as written: without Core AI's own folding of transposes
        graph(main)
    AIProgram(module).save_asset(path)


def stages(path: Path, output: Path) -> dict[str, float]:
    """Quantize a program as the command does, and time each stage."""
    seconds: dict[str, float] = {}
    last = time.perf_counter()

    def took(stage: str) -> None:
        nonlocal last
        now = time.perf_counter()
        seconds[stage], last = now - last, now

    from coreai.authoring import AIModelAsset

    from coreai_opt.coreai_utils import quantize_weights

    took("import")
    program = AIModelAsset.load(path).program
    took("load")
    quantize_weights(program, "int4", granularity="per_block", in_place=True)
    took("quantize")
    program.save_asset(output)
    took("save")
    return seconds


def repeated(path: Path, times: int, *, anew: bool) -> dict[str, float]:
    """Make results in a row, and return what is in memory after each, in bytes."""
    import gc

    from coreai.authoring import AIModelAsset

    from coreai_opt.coreai_utils import quantize_weights

    asset = AIModelAsset.load(path)
    program = asset.program
    found = {}
    for number in range(1, times + 1):
        quantize_weights(asset if anew else program, "int4", granularity="per_block")
        gc.collect()
        found[f"after {number}"] = float(_anonymous("self"))
    return found


def _anonymous(process: int | str) -> int:
    """Return the bytes of memory of a process that no file backs; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    lines = (line.split() for line in status.splitlines())
    return next((int(line[1]) * 1024 for line in lines if line[0] == "RssAnon:"), 0)


class Watched(NamedTuple):
    """What a command took, and what it printed.

    Attributes:
        seconds: from its start to its end.
        processor: seconds of all processors together, which other processes lengthen less.
        peak: of its anonymous memory, in bytes.
        output: what it printed.
    """

    seconds: float
    processor: float
    peak: int
    output: str


def _processor_seconds() -> float:
    """Return what the processes that this one has waited for took of the processors."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def watch(command: list[str]) -> Watched:
    """Run a command and watch it."""
    started, before = time.perf_counter(), _processor_seconds()
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        peak = 0

        def look() -> None:
            nonlocal peak
            while process.poll() is None:
                peak = max(peak, _anonymous(process.pid))
                time.sleep(0.01)

        watcher = threading.Thread(target=look)
        watcher.start()
        output = process.communicate()[0]
        watcher.join()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with {process.returncode}")
    seconds = time.perf_counter() - started
    return Watched(seconds, _processor_seconds() - before, peak, output)


def _size(path: Path) -> int:
    return sum(file.stat().st_size for file in path.iterdir())


def measure(folder: Path, what: list[str], times: int) -> None:
    """Print the figures that are asked for, as they come."""
    source, output = folder / "large.aimodel", folder / "out.aimodel"
    this = [sys.executable, __file__, str(folder)]
    size = _size(source)
    print(f"program {size / MB:.0f} MB")
    if "stages" in what:
        done = watch([*this, "--step", "stages"])
        found = json.loads(done.output.splitlines()[-1])
        print(f"result  {_size(output) / MB:.0f} MB")
        print(_row("stages", done), {k: round(v, 2) for k, v in found.items()}, flush=True)
    for name, options in COMMANDS.items():
        if name in what:
            shutil.rmtree(output, ignore_errors=True)
            filled = [o.format(folder=folder, target=size * 3 // 10) for o in options]
            command = [str(Path(sys.executable).with_name("coreai-opt")), "quantize"]
            print(_row(name, watch([*command, str(source), str(output), *filled])), flush=True)
    shutil.rmtree(output, ignore_errors=True)
    for step in ("copies", "anew"):
        if step in what:
            done = watch([*this, "--step", step, "--times", str(times)])
            print(_row(step, done))
            after = json.loads(done.output.splitlines()[-1]).values()
            print("  MB after each:", *(f"{nbytes / MB:.0f}" for nbytes in after), flush=True)


def _row(name: str, done: Watched) -> str:
    return (
        f"{name:12} {done.seconds:7.2f} s  {done.processor:7.2f} s of processors  "
        f"{done.peak / MB:7.0f} MB anonymous"
    )


def main() -> None:
    """Measure, or do one step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    names = ["stages", *COMMANDS, "copies", "anew"]
    parser.add_argument("--what", nargs="+", choices=names, default=names)
    parser.add_argument("--layers", type=int, default=LAYERS, help="fewer for a try")
    parser.add_argument("--times", type=int, default=8, help="results in a row")
    parser.add_argument("--step", choices=("build", *names), help=argparse.SUPPRESS)
    given = parser.parse_args()
    source = given.folder / "large.aimodel"
    steps: dict[str, Callable[[], Any]] = {
        "build": lambda: build(source, given.layers),
        "stages": lambda: stages(source, given.folder / "out.aimodel"),
        "copies": lambda: repeated(source, given.times, anew=False),
        "anew": lambda: repeated(source, given.times, anew=True),
    }
    if given.step:
        print(json.dumps(steps[given.step]()))
        return
    if not source.exists():
        this = [sys.executable, __file__, str(given.folder), "--step", "build"]
        subprocess.run([*this, "--layers", str(given.layers)], check=True)
    measure(given.folder, given.what, given.times)


if __name__ == "__main__":
    main()
