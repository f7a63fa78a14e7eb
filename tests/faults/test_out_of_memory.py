"""Every allocation of the native backend's that fails is a MemoryError, and nothing is broken."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="failing_malloc.c wraps glibc's")
@pytest.mark.skipif("asan" in os.environ.get("LD_PRELOAD", ""), reason="malloc is ASan's")
def test_each_allocation_that_fails_is_a_memory_error(tmp_path: Path) -> None:
    library = tmp_path / "failing_malloc.so"
    compile_it = ["-shared", "-fPIC", "-O1", HERE / "failing_malloc.c", "-o", library, "-ldl"]
    subprocess.run([os.environ.get("CC", "cc"), *compile_it], check=True)
    run = subprocess.run(
        [sys.executable, HERE / "out_of_memory.py", library],
        env=os.environ | {"LD_PRELOAD": str(library), "COREAI_OPT_BACKEND": "native"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, ""), run.stdout + run.stderr
    failed = {
        what: int(number) for number, what in (x.split(" ", 1) for x in run.stdout.split("\n") if x)
    }
    # Codes with scales, zero points and a scratch for each thread, those of 1 KiB and more.
    assert failed["array int4, 1 threads"] == 3
    assert failed["array int4, 2 threads"] == 4
    assert failed["array uint4, 1 threads"] == 2
    # Of the search in threads, sums and a scratch for each thread and pass besides.
    assert failed["array int4 mse, 2 threads"] > 10
    assert failed["decoded, 2 threads"] == 3
    assert failed["array int4 feedback, 1 threads"] > 3
    assert failed["moments factored"] > 5
    # Bounds of a table, codes and scratch; then what is decoded.
    assert all(number > 3 for what, number in failed.items() if "tables" in what)
    assert len(failed) == 28
    assert all(number > 5 for what, number in failed.items() if "program" in what)
    assert failed["plan"] > 50
