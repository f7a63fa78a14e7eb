"""``coreai-opt quantize`` with a calibration, from a file or made on the way."""

import json
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from coreai.authoring import AIProgram, Value, broadcasting_add
from coreai.authoring.constant import constant

from coreai_opt import Rule, cli
from coreai_opt.calibration.calibration import Calibration
from coreai_opt.cli import calibrated as module
from coreai_opt.cli import quantize as command
from coreai_opt.cli.calibrated import Calibrated, Judged, calibrate_here, judge
from coreai_opt.cli.running import Compared
from coreai_opt.coreai_utils import calibrate, compare_programs, quantize_weights
from coreai_opt.coreai_utils.format_planning import measure_weights
from coreai_opt.planning.choose import Measured
from coreai_opt.program.assets import load_asset
from coreai_opt.program.weights import find_weights
from coreai_opt.settings.rules_file import dump_rules

from ..support.command import failed, quantize, run
from ..support.programs import (
    F32,
    Array,
    all_stored,
    linear,
    make_program,
    random_weight,
    two_layers,
)
from ..support.terminal import shown

INT4 = ("--dtype", "int4", "--threshold", "0")
COUNT = 17


def inputs_of(seed: int = 0) -> Array:
    """Samples of which the inputs go together, so that rounding with feedback matters."""
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(9).standard_normal((3, 64)).astype(np.float32)
    return rng.standard_normal((COUNT, 3, 3)).astype(np.float32) @ mixed


@pytest.fixture
def model(tmp_path: Path) -> Path:
    two_layers(64, 48, 32).save_asset(tmp_path / "m.aimodel")
    np.savez(tmp_path / "x.npz", x=inputs_of())
    return tmp_path / "m.aimodel"


def program_of(model: Path) -> AIProgram:
    return load_asset(model).program


def calibration_on(model: Path, samples: Array) -> Any:
    return calibrate(program_of(model), {"x": samples}, weight_num_threshold=0)


def expected(model: Path, **more: Any) -> list[Any]:
    return all_stored(quantize_weights(program_of(model), "int4", weight_num_threshold=0, **more))


def test_a_calibration_from_a_file(model: Path, tmp_path: Path) -> None:
    written = run("calibrate", model, tmp_path / "c.calibration", "--inputs", tmp_path / "x.npz",
                  "--threshold", 0)  # fmt: skip
    assert written.returncode == 0, written
    out = tmp_path / "out.aimodel"
    result = quantize(model, out, *INT4, "--calibration", tmp_path / "c.calibration")
    assert result.returncode == 0, result
    found = all_stored(program_of(out))
    assert found == expected(model, calibration=calibration_on(model, inputs_of()))
    assert found != expected(model, observer="mse")


def test_one_sample_of_eight_is_kept_back(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.aimodel"
    result = quantize(model, out, *INT4, "--calibrate", tmp_path / "x.npz")
    assert result.returncode == 0, result
    assert "Outputs on 2 samples that were kept back" in result.stdout
    assert result.stderr == ""
    used = np.delete(inputs_of(), [7, 15], axis=0)
    assert all_stored(program_of(out)) == expected(model, calibration=calibration_on(model, used))


def test_positions_that_are_masked_do_not_calibrate(tmp_path: Path) -> None:
    """A sample is three positions; the second of each does not count."""

    def body(x: Value, mask: Value) -> Any:
        return (broadcasting_add(linear(x, constant(random_weight((32, 64)))), mask),)

    inputs = {"x": ((3, 64), F32), "mask": ((3, 1), F32)}
    program = make_program(body, inputs, {"y": ((3, 32), F32)})
    program.save_asset(tmp_path / "m.aimodel")
    masks = np.tile(np.array([[1], [0], [1]], np.float32), (COUNT, 1, 1))
    np.savez(tmp_path / "x.npz", x=inputs_of(), mask=masks)
    stored = {}
    for mask in ((), ("--mask", "mask")):
        out = tmp_path / f"{len(mask)}.aimodel"
        result = quantize(
            tmp_path / "m.aimodel", out, *INT4, "--calibrate", tmp_path / "x.npz", *mask
        )
        assert result.returncode == 0, result
        stored[mask] = all_stored(program_of(out))
    used = [{"x": x, "mask": masks[0]} for x in np.delete(inputs_of(), [7, 15], axis=0)]
    for mask, rounded in stored.items():
        calibration = calibrate(
            program, used, mask="mask" if mask else None, weight_num_threshold=0
        )
        want = quantize_weights(program, "int4", weight_num_threshold=0, calibration=calibration)
        assert rounded == all_stored(want)
    assert len(set(map(str, stored.values()))) == 2


@pytest.mark.parametrize(("count", "kept"), [(1, []), (2, [1]), (7, [6]), (8, [7]), (16, [7, 15])])
def test_which_samples_are_kept_back(count: int, kept: list[int], tmp_path: Path) -> None:
    samples = inputs_of()[:count]
    np.savez(tmp_path / "x.npz", x=samples)
    program = two_layers(64, 48, 32)
    found = calibrate_here(
        program, tmp_path / "x.npz", function=None, sizes={}, mask=None, threshold=0
    )
    assert found.calibration.samples == count - len(kept)
    assert len(found.kept) == len(kept)
    for sample, number in zip(found.kept, kept, strict=True):
        np.testing.assert_array_equal(sample["x"], samples[number])


def test_the_judge_prefers_what_is_nearer_to_the_original(model: Path, capsys) -> None:
    asset = load_asset(model)
    kept = Calibrated(calibration_on(model, inputs_of()[:2]), [{"x": x} for x in inputs_of()[:3]])
    near, far = (
        quantize_weights(program_of(model), dtype, weight_num_threshold=0)
        for dtype in ("int8", "int2")
    )
    found = judge(asset, kept, near, far)
    assert found.calibrated_is_better
    assert not (other := judge(asset, kept, far, near)).calibrated_is_better
    assert judge(asset, kept, near, near).calibrated_is_better
    want = compare_programs(asset, near, {"x": inputs_of()[:3]})
    assert found.compared.outputs == other.compared.outputs == want
    assert "Outputs on 3 samples that were kept back" in capsys.readouterr().out


ROW = np.arange(4.0)[np.newaxis]
ONES = np.ones((1, 4))
NANS = np.full((1, 4), np.nan)


@pytest.mark.parametrize("other_of", ["a", "z"])  # in front of and behind the output b
@pytest.mark.parametrize(
    ("original", "of_nearer", "of_other", "shown"),
    [
        ((ONES, ROW), (ONES, ROW + 0.001), (ONES, ROW + 1), "exact"),
        ((NANS, ROW), (NANS, ROW + 0.001), (NANS, ROW + 1), "not finite"),
        ((ONES * np.inf, ROW), (ONES * np.inf, ROW + 0.001), (ONES, ROW + 1), "not finite"),
        ((ONES, ROW), (ONES + 0.1, ROW + 1), (NANS, ROW), "not finite"),
        ((ONES, ROW), (ONES, ROW), (ONES + 0.1, ROW), "exact"),
        ((ONES, ROW), (ONES, ROW + 1), (ONES + 0.1, ROW + 1), "exact"),
        ((ONES * 0, ROW), (ONES * 0, ROW), (ONES, ROW), "-inf dB"),
    ],
)
def test_outputs_that_are_exact_or_not_finite_do_not_decide_alone(
    original: tuple[Array, Array],
    of_nearer: tuple[Array, Array],
    of_other: tuple[Array, Array],
    shown: str,
    other_of: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    wanted, nearer, other = (
        dict(zip((other_of, "b"), outputs, strict=True))
        for outputs in (original, of_nearer, of_other)
    )
    calibrated, none = Calibrated(Calibration({}, {}, {}, {}, 1), [{}]), cast("Any", None)
    for first, second, is_better in (
        (nearer, other, True),
        (other, nearer, False),
        (other, other, True),
    ):
        found = [wanted, first, second]
        monkeypatch.setattr(module, "_run", lambda *_, found=found: found)
        judged = judge(none, calibrated, none, none)
        assert judged.calibrated_is_better is is_better
    assert shown in capsys.readouterr().out


def test_where_the_calibration_made_outputs_worse_weights_are_rounded_to_nearest(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "judge", lambda *_: Judged(False, Compared("", [])))
    out = tmp_path / "out.aimodel"
    samples = ("--calibrate", str(tmp_path / "x.npz"), "--threshold", "0")
    assert cli.main(["quantize", str(model), str(out), "--dtype", "int4", *samples]) == 0
    assert all_stored(program_of(out)) == expected(model, observer="mse")
    assert "made outputs worse on the samples that were kept back" in capsys.readouterr().err


KEEP = {"keep": True}


@pytest.mark.parametrize(
    ("of_first", "instead"),
    [
        ({"rounding": "nearest"}, {"rounding": "nearest"}),
        ({"rounding": "gptq"}, {"rounding": "nearest"}),
        ({"rounding": "gptq", "dtype": "int8"}, {"dtype": "int8"}),
        ({"dtype": "int8"}, {"dtype": "int8"}),
        ({"n_bits": 4}, {"n_bits": 4}),
        (KEEP, KEEP),
    ],
    ids=str,
)
def test_rules_are_rounded_to_nearest_where_the_calibration_made_outputs_worse(
    of_first: dict[str, Any],
    instead: dict[str, Any],
    model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "judge", lambda *_: Judged(False, Compared("", [])))
    first = find_weights(program_of(model), 0)[0].name
    (tmp_path / "r.toml").write_text(dump_rules([Rule(name=first, **of_first)]))
    options = ("--calibrate", str(tmp_path / "x.npz"), "--rules", str(tmp_path / "r.toml"))
    out = tmp_path / "out.aimodel"
    assert cli.main(["quantize", str(model), str(out), *INT4, *options]) == 0
    wanted = expected(model, observer="mse", overrides=[Rule(name=first, **instead)])
    assert all_stored(program_of(out)) == wanted


def test_a_calibration_of_more_weights_than_are_quantized(model: Path, tmp_path: Path) -> None:
    """The weights have 3072 and 1536 elements."""
    calibration_on(model, inputs_of()).save(tmp_path / "c.calibration")
    out = tmp_path / "out.aimodel"
    result = quantize(model, out, "--dtype", "int4", "--threshold", 2000,
                      "--calibration", tmp_path / "c.calibration")  # fmt: skip
    assert result.returncode == 0, result
    calibration = calibrate(program_of(model), {"x": inputs_of()}, weight_num_threshold=2000)
    wanted = quantize_weights(
        program_of(model), "int4", weight_num_threshold=2000, calibration=calibration
    )
    assert all_stored(program_of(out)) == all_stored(wanted)


def test_a_report_tells_how_each_weight_was_rounded(model: Path, tmp_path: Path) -> None:
    report, out = tmp_path / "report.json", tmp_path / "out.aimodel"
    result = quantize(model, out, *INT4, "--calibrate", tmp_path / "x.npz",
                      "--report", report)  # fmt: skip
    assert result.returncode == 0, result
    assert report.read_text().count('"gptq"') == 2
    (output,) = json.loads(report.read_text())["outputs"]
    kept = {"x": inputs_of()[[7, 15]]}
    (want,) = compare_programs(load_asset(model), load_asset(out), kept)
    assert (output["sqnr_db"], output["cosine"]) == (want.sqnr_db, want.cosine)


def test_judging_shows_its_progress(model: Path, tmp_path: Path) -> None:
    """Three programs are run on two samples each."""
    calibrate = ("--calibrate", tmp_path / "x.npz")
    text = shown(100, "quantize", model, tmp_path / "out.aimodel", *INT4, *calibrate)
    assert "6/6" in text
    for word in ("reading", "samples", "running", "writing"):
        assert word in text


def test_a_plan_is_rounded_with_feedback(model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.aimodel"
    plan = tmp_path / "p.toml"
    result = quantize(model, out, "--target-size", "9KB", "--threshold", 0, "--plan-out", plan,
                      "--calibrate", tmp_path / "x.npz")  # fmt: skip
    assert result.returncode == 0, result
    plain = quantize(model, tmp_path / "plain.aimodel", "--rules", plan,
                     "--threshold", 0)  # fmt: skip
    assert plain.returncode == 0, plain
    stored, nearest = (all_stored(program_of(path)) for path in (out, tmp_path / "plain.aimodel"))
    assert [part[:2] for part in stored] == [part[:2] for part in nearest]
    assert stored != nearest


@pytest.mark.parametrize("where", ["--calibration", "--calibrate"])
def test_plans_are_run_as_they_will_be_rounded(
    where: str, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Calibration] = []

    def measure(*arguments: Any, calibration: Calibration, **more: Any) -> Measured:
        given.append(calibration)
        return measure_weights(*arguments, calibration=calibration, **more)

    monkeypatch.setattr(command, "measure_weights", measure)
    calibration_on(model, inputs_of()).save(tmp_path / "m.calibration")
    file = tmp_path / {"--calibration": "m.calibration", "--calibrate": "x.npz"}[where]
    plan = ("--target-size", "9KB", "--threshold", "0", "--inputs", str(tmp_path / "x.npz"))
    out = tmp_path / "out.aimodel"
    assert cli.main(["quantize", str(model), str(out), *plan, where, str(file)]) == 0
    (one,) = given
    assert one.samples == COUNT - (2 if where == "--calibrate" else 0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--calibration", "none"), "none"),
        (("--calibration", "x.npz"), "is no calibration"),
        (("--calibration", "other.calibration"), "of another program"),
        (("--calibration", "x.npz", "--calibrate", "x.npz"), "not allowed with"),
        (("--calibrate", "none.npz"), "none.npz"),
        (("--rounding", "gptq"), "needs a calibration"),
        (("--mask", "x"), "--mask needs --calibrate"),
        (("--calibrate", "x.npz", "--mask", "y"), "mask must be one of the inputs 'x'"),
    ],
)
def test_errors_are_one_line(
    options: tuple[str, ...], words: str, model: Path, tmp_path: Path
) -> None:
    other = two_layers(64, 40, 32)
    calibrate(other, {"x": inputs_of()[:2]}, weight_num_threshold=0).save(
        tmp_path / "other.calibration"
    )
    before = sorted(path.name for path in tmp_path.iterdir())
    result = quantize(model, "out.aimodel", *INT4, *options, cwd=tmp_path)
    assert words in failed(result)
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_one_of_eight_is_what_the_help_says() -> None:
    assert module.KEPT_BACK == 8
    assert "one of eight is kept back" in " ".join(run("quantize", "--help").stdout.split())
