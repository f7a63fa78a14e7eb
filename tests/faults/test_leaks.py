"""Nothing is kept after a call: no memory, no reference, no thread; errors included."""

import gc
import os
import re
import shutil
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from coreai_opt import _native, palettize_array, quantize_array
from coreai_opt.program.runtime import run_program
from coreai_opt.reference import FORMATS

from ..support.programs import matmul_program, random_weight

WEIGHT = random_weight((96, 128))
NOT_FINITE = np.full((96, 128), np.nan, np.float32)


def quantize(**options: object) -> Callable[[], None]:
    arguments = {"dtype": "int4", "block_sizes": (1, 32)} | options
    return lambda: quantize_array(WEIGHT, **arguments).dequantize()  # type: ignore[arg-type, func-returns-value]  # from a table


def tables(**options: object) -> Callable[[], None]:
    return lambda: palettize_array(WEIGHT, 2, **options).dequantize()  # type: ignore[arg-type, func-returns-value]  # from a table


def refused(**options: object) -> Callable[[], None]:
    def call() -> None:
        with pytest.raises((ValueError, TypeError)):
            quantize_array(**{"dtype": "int4", "block_sizes": (1, 32)} | options)  # type: ignore[arg-type]  # options of several types

    return call


CALLS = {
    "native": quantize(backend="native"),
    "native, asymmetric": quantize(dtype="uint8", qscheme="asymmetric"),
    "native, threads": quantize(num_threads=4),
    "native, one scale in threads": quantize(block_sizes=(0, 0), num_threads=4),
    "reference": quantize(backend="reference"),
    "validate": quantize(backend="validate"),
    "tables": tables(),
    "tables, threads": tables(block_sizes=(8, 0), num_threads=4),
    "tables of heads": tables(block_sizes=(8, 16)),
    "tables with searched scales": tables(scale_block_sizes=(1, 32), observer="mse"),
    "tables of vectors": tables(cluster_dim=2),
    "not contiguous": lambda: quantize_array(WEIGHT.T, "int8", block_sizes=(1, 0)) and None,
    "not finite": refused(weight=NOT_FINITE),
    "bad blocks": refused(weight=WEIGHT, block_sizes=(5, 0)),
    "bad dtype": refused(weight=WEIGHT, dtype="int3"),
    "bad weight": refused(weight=WEIGHT.astype(np.float64)),
}


IN_QUARANTINE = pytest.mark.skipif(
    "asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan keeps what is freed for a while"
)


@IN_QUARANTINE
@pytest.mark.parametrize("name", CALLS)
def test_arrays(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1024)
    call, shared = CALLS[name], (WEIGHT, NOT_FINITE, WEIGHT.dtype, FORMATS["int4"])
    threads = threading.active_count()
    calls = 50

    def repeat() -> tuple[int, list[int]]:
        for _ in range(calls):
            call()
        gc.collect()
        return tracemalloc.get_traced_memory()[0], [sys.getrefcount(x) for x in shared]

    tracemalloc.start()
    try:
        for _ in range(3):
            repeat()  # fills caches, such as numpy's of small arrays
        rounds = [repeat() for _ in range(5)]
    finally:
        tracemalloc.stop()
    (memory, references) = zip(*rounds, strict=True)
    assert references.count(references[0]) == len(rounds)
    # An array that is kept takes more than 100 bytes, in every round; caches, which are not ours,
    # grow less and less.
    assert min(np.diff(memory)) < 64 * calls
    assert threading.active_count() == threads


PROGRAMS = """
import gc, resource, sys, tempfile
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from programs import matmul_program, random_weight
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import quantize

def resident():
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()

def refuse(*_):
    raise KeyError

if sys.argv[2] == "failing":
    quantize.replace_constants = refuse
weight = random_weight((1024, 1024))
given = matmul_program(weight)
if sys.argv[2] == "asset":
    given = given.save_asset(Path(tempfile.mkdtemp(dir=sys.argv[3]), "given.aimodel"))
sizes = []
for i in range(40):
    if i % 10 == 0:
        sizes.append(resident())
    program = matmul_program(weight) if sys.argv[2] == "in place" else given
    try:
        quantize_weights(
            program,
            "int8",
            num_threads=2,
            in_place=sys.argv[2] == "in place",
        )
    except KeyError:
        pass
sizes.append(resident())
print(*sizes)
"""


@pytest.mark.parametrize(
    ("how", "kept"),
    [("in place", 0), ("failing", 0), ("asset", 0), ("copies", 1 << 20)],
)
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@IN_QUARANTINE
def test_programs(how: str, kept: int, tmp_path: Path) -> None:
    """A program is freed whole. A copy's 1 MiB of codes is, with the program it was made from."""
    folder = Path(__file__).parents[1] / "support"
    command = [sys.executable, "-c", PROGRAMS, str(folder), how, str(tmp_path)]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    sizes = [int(size) for size in run.stdout.split()]
    # What is kept is so in every round; the system may add a huge page in one.
    each = min(np.diff(sizes[1:])) / 10
    assert abs(each - kept) < 1 << 17


ARRAYS = """
import sys
import numpy as np
from coreai_opt import _native, quantize_array

_native.SMALLEST_SHARE = 1024
weight = np.random.default_rng(0).standard_normal((32, 96), np.float32)
options = (
    {"dtype": "int4", "block_sizes": (1, 32)},
    {"dtype": "uint8", "qscheme": "asymmetric", "block_sizes": (0, 0)},
    {"dtype": "int4", "block_sizes": (0, 0), "observer": "mse"},
    {
        "dtype": "fp4_e2m1fn",
        "block_sizes": (1, 32),
        "observer": "mse",
        "importance": np.ones((1, 96), np.float32),
    },
)
for _ in range(int(sys.argv[1])):
    for given in options:
        for threads in (1, 3):
            quantize_array(weight, num_threads=threads, **given).dequantize(num_threads=threads)
            for wrong in ({"weight": weight * np.nan}, {"block_sizes": (5, 0)}):
                try:
                    quantize_array(**{"weight": weight, "num_threads": threads} | given | wrong)
                except ValueError:
                    continue
                raise AssertionError
"""


def under_valgrind(rounds: int) -> tuple[set[str], dict[str, int]]:
    """What valgrind says of the program above: where errors are, and bytes that were lost."""
    command = ["valgrind", "--leak-check=full", sys.executable, "-c", ARRAYS, str(rounds)]
    environment = os.environ | {"PYTHONMALLOC": "malloc", "PYTHONHASHSEED": "0"}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    errors, leaks = run.stderr.split("HEAP SUMMARY:")
    lost = re.findall(r"(definitely|indirectly) lost: ([\d,]+) bytes", leaks)
    return set(re.findall(r"(?:at|by) 0x\w+: (.*)", errors)), {
        how: int(count.replace(",", "")) for how, count in lost
    }


@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="ASan watches already")
def test_valgrind_finds_no_byte_that_a_call_loses() -> None:
    """Python itself loses some once; calls add none. Nothing is read that was not written."""
    (_, once), (frames, often) = under_valgrind(1), under_valgrind(20)
    assert once.keys() == {"definitely", "indirectly"}
    # An array that is lost in each round is 2 kB and more.
    assert sum(often.values()) - sum(once.values()) < 1000
    assert not [frame for frame in frames if "_native" in frame or "caq_" in frame]


def test_running_a_program_keeps_no_file_open() -> None:
    program, inputs = matmul_program(WEIGHT), {"x": np.ones((3, 96), np.float32)}
    run_program(program, inputs)
    before = len(os.listdir("/dev/fd"))
    for _ in range(5):
        run_program(program, inputs)
    assert len(os.listdir("/dev/fd")) <= before
