"""The second half of ``make example-sentences``, on the network that is at hand without PyTorch."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPT = EXAMPLES / "sentence_embedding" / "evaluate.py"
CREPE = EXAMPLES / "crepe_tiny_f16.aimodel"
SENTENCES = {
    name: SCRIPT.with_name(f"{name}.txt").read_text(encoding="utf-8").splitlines()
    for name in ("sentences", "calibration")
}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """CREPE's frames as two samples, and what PyTorch made of them."""
    folder = tmp_path_factory.mktemp("arrays")
    known = np.load(EXAMPLES / "crepe_tiny_f16.npz")
    twice = {"inputs": {"x": known["in_x"]}, "outputs": {"probs": known["src_probs"]}}
    for name, given in twice.items():
        np.savez(folder / name, **{key: np.stack([a, a[::-1]]) for key, a in given.items()})
    return {name: folder / f"{name}.npz" for name in twice}


def evaluate(inputs: Path, outputs: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, SCRIPT, CREPE, inputs, outputs, inputs]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_plans_beat_the_format_of_their_size(arrays: dict[str, Path]) -> None:
    done = evaluate(arrays["inputs"], arrays["outputs"])
    assert done.returncode == 0, done.stderr
    assert "cosine similarity of 8 vectors" in done.stdout
    row = re.compile(r"^ (.+?)  +(\d) of 7 +([\d,]+) +([\d.]+) +([\d.]+) +[\d.]+ $", re.MULTILINE)
    table = {name: rest for name, *rest in row.findall(done.stdout)}
    assert len(table) == 10
    size = {name: int(nbytes.replace(",", "")) for name, (_, nbytes, _, _) in table.items()}
    mean = {name: float(cosine) for name, (_, _, cosine, _) in table.items()}
    assert table["original"][0] == "0"
    assert mean["original"] == 1.0
    assert 1 >= mean["INT8 per channel"] > mean["INT4, mse"] > mean["INT4"] > 0.9
    for plan in ("plan, no larger than INT4", "plan with inputs, no larger than INT4"):
        assert size[plan] <= size["INT4"]
        assert mean[plan] > mean["INT4"]


def test_outputs_without_a_cosine(arrays: dict[str, Path], tmp_path: Path) -> None:
    with np.load(arrays["outputs"]) as outputs:
        np.savez(tmp_path / "zeros.npz", probs=np.zeros_like(outputs["probs"]))
    done = evaluate(arrays["inputs"], tmp_path / "zeros.npz")
    assert done.returncode == 1
    assert done.stderr == "original: a vector is not finite, or zero throughout\n"


def test_cosines() -> None:
    spec = importlib.util.spec_from_file_location("evaluate", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    expected = {"y": np.array([[[3, 4], [1, 0]], [[0, 2], [1, 1]]], np.float32)}
    outputs = [
        {"y": np.array([[6, 8], [0, 1]], np.float16), "other": np.zeros(1)},
        {"y": np.array([[0, -1], [np.nan, 1]], np.float16), "other": np.zeros(1)},
    ]
    np.testing.assert_array_equal(module.cosines(expected, outputs), [1, 0, -1, np.nan])


def test_calibration_is_on_other_sentences() -> None:
    assert len(set(SENTENCES["sentences"])) == 50
    assert len(set(SENTENCES["calibration"])) == 30
    assert not set(SENTENCES["sentences"]) & set(SENTENCES["calibration"])
