"""Look-up tables and sparse weights are never further from the weight than coreai-opt 0.4.0's.

In every configuration that its own tests have: a linear layer of 2048 x 32 as PyTorch starts it.
What both have made of the weight is what Core AI's runtime makes of the unit vectors.
coreai-opt lives in an environment of its own, which ``make third-opinion`` makes.
"""

import json
import os
import runpy
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreai_opt import coreai_utils
from coreai_opt.exceptions import UnreadableError
from coreai_opt.program.assets import load_asset
from coreai_opt.program.weights import find_quantized

from ..support.programs import Array, linear, make_program, run

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
PYTHON = runpy.run_path(str(BENCHMARKS / "environments.py"))["python_of"]("coreai_opt_apple")

Case = tuple[str, dict[str, Any]]

SCALED: Case = ("palettize_weights", {"lut_dtype": None, "enable_per_channel_scale": True})
"""The case in which coreai-opt has a scale for each of 2048 input channels, and this package one
for each of 32 output channels."""

CASES: list[Case] = [
    *(
        ("palettize_weights", {"lut_dtype": lut_dtype, "n_bits": bits})
        for bits in (2, 4, 6, 8)
        for lut_dtype in (None, "int8", "uint8", "fp8_e4m3fn", "fp8_e5m2")
    ),
    ("palettize_weights", {"lut_dtype": None, "enable_fast_kmeans_mode": False}),
    ("palettize_weights", {"lut_dtype": None, "granularity": "per_channel"}),
    (
        "palettize_weights",
        {"lut_dtype": None, "granularity": "per_grouped_channel", "group_size": 16},
    ),
    ("palettize_weights", {"lut_dtype": None, "cluster_dim": 2}),
    SCALED,
    ("palettize_weights", {"lut_dtype": "int8", "enable_per_channel_scale": True}),
    *(("sparsify_weights", {"target_sparsity": part}) for part in (0.25, 0.5, 0.75)),
    ("sparsify_weights", {"target_sparsity": None, "n_m_ratio": (1, 2)}),
    ("sparsify_weights", {"block_size": 4}),
    *(
        ("sparsify_weights", {"quantize_dtype": dtype})
        for dtype in ("int8", "uint8", "fp8_e4m3fn", "fp8_e5m2")
    ),
    *(("sparsify_weights", {"palettize_nbits": bits}) for bits in (2, 4, 8)),
]


def name_of(case: Case) -> str:
    function, arguments = case
    said = ", ".join(f"{name} {value}" for name, value in arguments.items())
    return f"{function.removesuffix('_weights')} {said}"


@pytest.fixture(scope="module", params=["float32", "float16"])
def theirs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the model and what coreai-opt makes of it in each case."""
    if not PYTHON.exists():
        pytest.skip("coreai-opt 0.4.0 is not there: make third-opinion installs it")
    folder = tmp_path_factory.mktemp(request.param)
    model_of(weight_of(request.param)).save_asset(folder / "model.aimodel")
    (folder / "cases.json").write_text(json.dumps(CASES))
    script = Path(__file__).with_name("apple_tables.py")
    environment = {**os.environ, "PYTHONSAFEPATH": "1"}
    subprocess.run([PYTHON, script, folder], check=True, env=environment)
    return folder


def weight_of(dtype: str) -> Array:
    bound = 2048**-0.5
    weight = np.random.default_rng(0).uniform(-bound, bound, (32, 2048))
    return weight.astype(np.float32).astype(dtype)


def model_of(weight: Array) -> Any:
    shapes = {"x": ((2048, 2048), weight.dtype)}, {"y": ((2048, 32), weight.dtype)}
    return make_program(lambda x: linear(x, weight), *shapes)


def decoded(program: Any, dtype: np.dtype[Any]) -> Array:
    return run(program, {"x": np.eye(2048, dtype=dtype)})["y"].T.astype(np.float64)


def sqnr(decoded: Array, weight: Array) -> float:
    signal = np.square(weight, dtype=np.float64).sum()
    return float(10 * np.log10(signal / np.square(decoded - weight).sum()))


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_no_case_is_worse(case: Case, theirs: Path) -> None:
    function, arguments = case
    program = load_asset(theirs / "model.aimodel").program
    weight = weight_of("float16" if "float16" in theirs.name else "float32")
    if case == SCALED:  # as many scales as theirs
        arguments = {"lut_dtype": None, "scale_block_size": 32}
    ours = getattr(coreai_utils, function)(program, weight_num_threshold=0, **arguments)
    their_program = load_asset(theirs / f"{CASES.index(case)}.aimodel").program
    found, expected = (sqnr(decoded(one, weight.dtype), weight) for one in (ours, their_program))
    print(f"{weight.dtype} {name_of(case)}: {found:.2f} dB, theirs {expected:.2f}")
    assert found >= expected


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_theirs_decode_to_is_read(case: Case, theirs: Path) -> None:
    """But for sparse UINT8, which do not decode to what was meant."""
    program = load_asset(theirs / f"{CASES.index(case)}.aimodel").program
    (stored,) = find_quantized(program)
    if case[1].get("quantize_dtype") == "uint8":
        with pytest.raises(UnreadableError, match="its values are uint8"):
            stored.form.read(stored.op)
        return
    array = stored.form.read(stored.op).dequantize()
    assert (decoded(program, array.dtype) == array).all()
