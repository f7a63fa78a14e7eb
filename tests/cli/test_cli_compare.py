"""``coreai-opt compare``, run as it is installed, on the trained network of the examples."""

import json
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.coreai_utils import compare_programs
from coreai_opt.evaluation.output_comparison import compare_outputs
from coreai_opt.program.assets import load_asset
from coreai_opt.reports.outputs import outputs_as_json

from ..support.command import MODEL, failed, quantize, run


@pytest.fixture(scope="module")
def int8(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("compare") / "int8.aimodel"
    assert quantize(MODEL, path, "--dtype", "int8").returncode == 0
    return path


def test_it_prints_the_figures(int8: Path) -> None:
    result = run("compare", MODEL, int8, "--seed", 3)
    assert result.returncode == 0
    assert result.stderr == ""
    (found,) = compare_programs(load_asset(MODEL), load_asset(int8), seed=3)
    assert found.top1 is not None
    line = next(line for line in result.stdout.splitlines() if "probs" in line)
    for figure in (f"{found.sqnr_db:.2f} dB", f"{found.cosine:.6f}", f"{100 * found.top1:.1f} %"):
        assert figure in line


def test_inputs_come_from_a_file(int8: Path, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).standard_normal((4, 1024)).astype(np.float16)
    np.savez(tmp_path / "x.npz", x=frames)
    result = run("compare", MODEL, int8, "--inputs", tmp_path / "x.npz")
    (found,) = compare_programs(load_asset(MODEL), load_asset(int8), {"x": frames})
    assert f"{found.sqnr_db:.2f} dB" in result.stdout


def test_less_quality_than_asked_for_is_exit_code_1(int8: Path) -> None:
    assert run("compare", MODEL, int8, "--min-sqnr", 10).returncode == 0
    result = run("compare", MODEL, int8, "--min-sqnr", 100)
    assert result.returncode == 1
    assert "probs" in result.stdout  # the figures are printed all the same
    assert result.stderr.startswith("coreai-opt: error: less SQNR than 100 dB: probs: ")


def test_equal_assets_have_no_noise() -> None:
    assert " exact " in run("compare", MODEL, MODEL, "--min-sqnr", "300").stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nothing.aimodel", MODEL), "does not exist"),
        ((MODEL, MODEL, "--inputs", "nothing.npz"), "nothing.npz"),
        ((MODEL, MODEL, "--inputs", __file__), "is no .npz file"),
        ((MODEL, MODEL, "--seed", "-1"), "--seed"),
    ],
)
def test_errors_are_one_line(arguments: tuple[object, ...], words: str) -> None:
    assert words in failed(run("compare", *arguments))


def test_as_json(int8: Path) -> None:
    content = json.loads(run("compare", MODEL, int8, "--json").stdout)
    assert content["schema_version"] == 1
    assert (content["reference"], content["other"]) == (str(MODEL), str(int8))
    (found,) = content["outputs"]
    (wanted,) = compare_programs(*(load_asset(path).program for path in (MODEL, int8)))
    assert found["sqnr_db"] == wanted.sqnr_db
    assert (found["cosine"], found["top1"]) == (wanted.cosine, wanted.top1)
    assert found["status"] == "different"
    (same,) = json.loads(run("compare", MODEL, MODEL, "--json").stdout)["outputs"]
    assert (same["sqnr_db"], same["status"]) == (None, "equal")


def test_outputs_that_are_not_finite_are_told_from_equal_ones_in_json() -> None:
    (found,) = outputs_as_json(compare_outputs({"y": np.ones(2)}, {"y": np.array([1, np.inf])}))
    assert (found["sqnr_db"], found["cosine"], found["status"]) == (None, None, "not finite")
