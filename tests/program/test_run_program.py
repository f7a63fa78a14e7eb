"""Running programs on arrays: what comes back, and what is refused before the runtime sees it."""

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import AIProgram, broadcasting_batch_matmul, gather_nd
from coreai.authoring.constant import constant

from coreai_opt.exceptions import InputError
from coreai_opt.program import ir
from coreai_opt.program.runtime import run_program
from coreai_opt.reference import WEIGHT_DTYPES

from ..support.programs import F32, make_program, matmul_program, random_weight

WEIGHT = random_weight((4, 5))
X = random_weight((3, 4), seed=1)


def two_outputs() -> AIProgram:
    """``z = x @ WEIGHT`` and ``a``, rows of a table by number."""

    def body(x: Any, rows: Any) -> Any:
        table = constant(random_weight((7, 2), seed=2))
        return broadcasting_batch_matmul(x, constant(WEIGHT)), gather_nd(table, rows)

    return make_program(
        body,
        {"x": ((3, 4), F32), "rows": ((6, 1), np.int32)},
        {"z": ((3, 5), F32), "a": ((6, 2), F32)},
    )


def test_outputs_come_by_name() -> None:
    rows = np.array([[6], [0], [1], [2], [3], [6]], np.int32)
    outputs = run_program(two_outputs(), {"rows": rows, "x": X})
    assert list(outputs) == ["a", "z"]
    np.testing.assert_array_equal(outputs["a"], random_weight((7, 2), seed=2)[rows[:, 0]])
    np.testing.assert_allclose(outputs["z"], X @ WEIGHT, rtol=1e-5)


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_floats_and_integers_are_converted(dtype: Any) -> None:
    program = matmul_program(WEIGHT.astype(dtype))
    exact = run_program(program, {"x": X.astype(dtype)})["y"]
    assert exact.dtype == dtype
    for other in (*WEIGHT_DTYPES, np.float64):
        x = X.astype(dtype).astype(other)
        if x.astype(dtype).tobytes() == X.astype(dtype).tobytes():
            assert run_program(program, {"x": x})["y"].tobytes() == exact.tobytes()
    rows = np.arange(6).reshape(6, 1)
    assert rows.dtype == np.int64
    assert run_program(two_outputs(), {"x": X, "rows": rows})["a"].shape == (6, 2)


def test_memory_layout_does_not_matter() -> None:
    program = matmul_program(WEIGHT)
    turned = np.asfortranarray(X)
    np.testing.assert_array_equal(
        run_program(program, {"x": turned})["y"], run_program(program, {"x": X})["y"]
    )


def test_dimensions_that_are_not_fixed() -> None:
    program = make_program(
        lambda x: (broadcasting_batch_matmul(x, constant(WEIGHT)),),
        {"x": ((-1, 4), F32)},
        {"y": ((-1, 5), F32)},
    )
    assert str(ir.functions(program)["main"].inputs[0]) == "x: float32 [?, 4]"
    for rows in (1, 9):
        x = random_weight((rows, 4))
        np.testing.assert_allclose(run_program(program, {"x": x})["y"], x @ WEIGHT, rtol=1e-5)
    with pytest.raises(ValueError, match=re.escape("must be an array x: float32 [?, 4]; got")):
        run_program(program, {"x": np.ones((3, 5), F32)})


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        ({}, "no array for input 'x'; the program takes x: float32 [3, 4]"),
        ({"x": X, "y": X}, "no input 'y'; the program takes x: float32 [3, 4]"),
        ({"x": X[:2]}, "input 'x' must be an array x: float32 [3, 4]; got float32 [2, 4]"),
        ({"x": X[..., None]}, "got float32 [3, 4, 1]"),  # ends the process otherwise
        ({"x": X.astype(np.int32)}, "got int32 [3, 4]"),
        ({"x": X > 0}, "got bool [3, 4]"),
    ],
)
def test_inputs_that_do_not_fit(inputs: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        run_program(matmul_program(WEIGHT), inputs)


@pytest.mark.parametrize(
    ("dtype", "given", "too_large"),
    [
        (np.float16, np.float32, 65_520),
        (np.float16, np.float64, -1e6),
        (np.float16, ml_dtypes.bfloat16, 2.0**16),
        (np.float32, np.float64, 1e39),
        (ml_dtypes.bfloat16, np.float32, 3.4e38),
    ],
)
def test_finite_numbers_that_do_not_fit(dtype: Any, given: Any, too_large: float) -> None:
    """Infinity, if they were converted."""
    x = X.astype(given)
    x[1, 2] = too_large
    words = f"input 'x' holds {x[1, 2]} at [1, 2], which is too large for {np.dtype(dtype)}"
    with pytest.raises(InputError, match=re.escape(words)):
        run_program(matmul_program(WEIGHT.astype(dtype)), {"x": x})


def test_infinities_that_are_given_stay() -> None:
    x = X.astype(np.float64)
    x[0] = np.inf
    y = run_program(matmul_program(WEIGHT.astype(np.float16)), {"x": x})["y"]
    assert not np.isfinite(y[0]).any()
    assert np.isfinite(y[1:]).all()


def test_integers_that_do_not_fit() -> None:
    rows = np.full((6, 1), 2**32)  # 0, if it were cast
    with pytest.raises(ValueError, match=re.escape("got int64 [6, 1]")):
        run_program(two_outputs(), {"x": X, "rows": rows})


def test_an_input_without_dimensions_is_refused() -> None:
    program = make_program(
        lambda x, scale: (broadcasting_batch_matmul(x, constant(WEIGHT)),),
        {"x": ((3, 4), F32), "scale": ((), F32)},
        {"y": ((3, 5), F32)},
    )
    with pytest.raises(ValueError, match="'scale' of the program has no dimensions"):
        run_program(program, {"x": X, "scale": np.array(1, F32)})


def test_what_the_runtime_refuses_is_said() -> None:
    with pytest.raises(RuntimeError, match=r"Index 9 is out of range"):
        run_program(two_outputs(), {"x": X, "rows": np.full((6, 1), 9)})


def test_runs_inside_an_event_loop(capfd: pytest.CaptureFixture[str]) -> None:
    async def notebook() -> Any:
        return run_program(matmul_program(WEIGHT.astype(ml_dtypes.bfloat16)), {"x": X})

    assert asyncio.run(notebook())["y"].dtype == ml_dtypes.bfloat16
    assert capfd.readouterr().err == ""


RUN_AND_END = """
import _thread, sys, time
from pathlib import Path
import numpy as np
from coreai.authoring import AIModelAsset
from coreai_opt.program.runtime import run_program

run_program(AIModelAsset.load(Path(sys.argv[1])), {"x": np.ones((3, 4), np.float32)})
_thread.start_new_thread(lambda: time.sleep(0.05) or print("let go"), ())
"""


def test_the_process_waits_for_threads_of_the_runtime(tmp_path: Path) -> None:
    """One that comes for the GIL while the interpreter shuts down would end it by SIGABRT."""
    asset = tmp_path / "program.aimodel"
    matmul_program(WEIGHT).save_asset(asset)
    command = [sys.executable, "-c", RUN_AND_END, asset]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "let go\n"), done.stderr
