"""``coreai-opt quantize`` by size or SQNR, its reports, dry runs and verifying."""

import argparse
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from coreai.authoring import AIProgram

from coreai_opt.cli.budget import add_budget
from coreai_opt.coreai_utils import compare_programs, plan_quantization, quantize_weights
from coreai_opt.program import assets
from coreai_opt.program.assets import asset_bytes, load_asset
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.command import MODEL, contents, failed, quantize, run
from ..support.programs import all_stored, layers, random_weight

SIZE = asset_bytes(MODEL)
SAMPLE = np.load(MODEL.with_suffix(".npz"))["in_x"]


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.aimodel"


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    np.savez(path := tmp_path / "x.npz", x=SAMPLE)
    return path


def stored(asset: Path) -> list[tuple[tuple[int, ...], str, bytes]]:
    return all_stored(load_asset(asset).program)


def frontier(stdout: str) -> list[tuple[int, str, str]]:
    """The table that is printed: bytes, quality, and "chosen" or nothing."""
    row = r"^ +([\d,]+) +(-?[\d.]+ dB|exact)(?: +(chosen))? *$"
    rows = re.findall(row, stdout, re.MULTILINE)
    return [(int(size.replace(",", "")), quality, chosen) for size, quality, chosen in rows]


@pytest.mark.parametrize("target", [145_000, 200_000, 300_001, 400_000, 700_000, 970_000])
def test_the_file_takes_no_more_than_asked_for_and_little_less(output: Path, target: int) -> None:
    result = quantize(MODEL, output, "--target-size", target)
    assert result.returncode == 0, result
    assert result.stderr == ""
    size = asset_bytes(output)
    assert size <= target
    points = frontier(result.stdout)
    ((most, quality, _),) = (point for point in points if point[2])
    assert size <= most <= target
    assert most - size < 256 * (7 + 1)
    # What is better by one weight's step does not fit.
    better = [nbytes for nbytes, _, _ in points if nbytes > most]
    assert better
    assert min(better) > target
    assert f"file     {SIZE:,} -> {size:,} bytes" in result.stdout
    assert quality != "exact"


def test_the_frontier_goes_from_the_smallest_to_what_there_is(output: Path) -> None:
    points = frontier(quantize(MODEL, output, "--target-size", "300KB").stdout)
    assert 8 <= len(points) <= 27
    assert points == sorted(points)
    assert points[-1][1] == "exact"
    assert points[-1][0] == SIZE + 256 * 8
    decibels = [float(quality.split()[0]) for _, quality, _ in points[:-1]]
    assert decibels == sorted(decibels)
    smallest = quantize(MODEL, output, "--target-size", points[0][0], "--force")
    assert frontier(smallest.stdout)[0][2] == "chosen"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("300000", 300_000),
        ("300000B", 300_000),
        ("300KB", 300_000),
        ("300 kb", 300_000),
        ("300k", 300_000),
        ("0.3MB", 300_000),
        ("1.1GB", 1_100_000_000),
        ("300KiB", 307_200),
        ("1.5MiB", 1_572_864),
        ("0.5GiB", 536_870_912),
        ("1.003MB", 1_003_000),  # by floats 1,002,999
    ],
)
def test_sizes_have_units(text: str, size: int) -> None:
    parser = argparse.ArgumentParser()
    add_budget(parser.add_argument_group())
    assert parser.parse_args(["--target-size", text]).target_size == size


def test_by_sqnr(output: Path) -> None:
    result = quantize(MODEL, output, "--min-sqnr", 30)
    plan = plan_quantization(load_asset(MODEL).program, min_sqnr=30)
    assert plan.sqnr_db >= 30
    chosen = next(point for point in frontier(result.stdout) if point[2])
    assert chosen[1] == f"{plan.sqnr_db:.1f} dB"
    expected = quantize_weights(load_asset(MODEL).program, None, overrides=plan.rules)
    assert stored(output) == all_stored(expected)


@pytest.mark.parametrize("goal", [("--target-size", "300KB"), ("--min-sqnr", "25")], ids=str)
def test_a_plan_is_replayed(output: Path, tmp_path: Path, goal: tuple[str, str]) -> None:
    plan, again = tmp_path / "plan.toml", tmp_path / "again.aimodel"
    assert quantize(MODEL, output, *goal, "--plan-out", plan).returncode == 0
    assert quantize(MODEL, again, "--rules", plan).returncode == 0
    assert stored(again) == stored(output)
    # Nor do options say otherwise than the plan.
    options = ("--dtype", "uint8", "--qscheme", "asymmetric", "--observer", "mse")
    assert quantize(MODEL, again, "--rules", plan, *options, "--force").returncode == 0
    assert stored(again) == stored(output)


def test_a_plan_is_edited(output: Path, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    assert run("quantize", MODEL, "--dry-run", "--target-size", "300KB", "--plan-out", plan)
    text = plan.read_text()
    kept = re.sub(r'(name = "[^"]*@35"\n)(?:.+\n)+', r"\1keep = true\n", text)
    assert kept != text
    plan.write_text(kept)
    assert quantize(MODEL, output, "--rules", plan).returncode == 0
    assert [w.shape for w in find_weights(load_asset(output).program, 1024)] == [(360, 256)]
    assert len(find_quantized(load_asset(output).program)) == 6


def test_inputs_say_which_weights_matter(output: Path, tmp_path: Path, inputs: Path) -> None:
    by_weights = tmp_path / "by_weights.aimodel"
    assert quantize(MODEL, by_weights, "--target-size", "400KB").returncode == 0
    result = quantize(MODEL, output, "--target-size", "400KB", "--inputs", inputs)
    assert "SQNR of the outputs, about" in result.stdout
    assert asset_bytes(output) <= 400_000
    quality = [
        compare_programs(load_asset(MODEL), load_asset(asset), {"x": SAMPLE})[0].sqnr_db
        for asset in (by_weights, output)
    ]
    assert quality[1] > quality[0] + 3


def test_verify_runs_both(output: Path, tmp_path: Path, inputs: Path) -> None:
    result = quantize(MODEL, output, "--dtype", "int8", "--verify", "--inputs", inputs)
    (found,) = compare_programs(load_asset(MODEL), load_asset(output), {"x": SAMPLE})
    assert f"Outputs on inputs {inputs}\n" in result.stdout
    line = next(line for line in result.stdout.splitlines() if "probs" in line)
    assert f"{found.sqnr_db:.2f} dB" in line

    samples = {"x": np.stack([SAMPLE, SAMPLE[::-1]])}
    np.savez(several := tmp_path / "several.npz", **samples)
    result = run("quantize", MODEL, "--dry-run", "--dtype=int8", "--verify", "--inputs", several)
    (found,) = compare_programs(load_asset(MODEL), load_asset(output), samples)
    assert f"{found.sqnr_db:.2f} dB" in result.stdout

    result = run("quantize", MODEL, "--dry-run", "--dtype", "int8", "--verify")
    (found,) = compare_programs(load_asset(MODEL), load_asset(output))
    assert "Outputs on random inputs" in result.stdout
    assert f"{found.sqnr_db:.2f} dB" in result.stdout


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    existing = shutil.copytree(MODEL, tmp_path / "out.aimodel")
    before = contents(existing)
    for arguments in (
        ("--dtype", "int4"),
        (existing, "--dtype", "int4"),
        (existing, "--target-size", "300KB"),
        ("--dtype", "int4", "--verify"),
    ):
        result = run("quantize", MODEL, *arguments, "--dry-run", cwd=tmp_path)
        assert result.returncode == 0, result
        assert result.stderr == ""
        assert [path.name for path in tmp_path.iterdir()] == ["out.aimodel"]
        assert contents(existing) == before
        assert "file" not in [line.split()[0] for line in result.stdout.splitlines() if line]


def test_a_dry_run_says_what_the_run_does(output: Path, tmp_path: Path) -> None:
    options = ("--dtype", "int4", "--granularity", "per_block")
    dry = run("quantize", MODEL, "--dry-run", *options)
    assert quantize(MODEL, output, *options).returncode == 0
    for weight in find_quantized(load_asset(output).program):
        (line,) = (line for line in dry.stdout.splitlines() if weight.name in line)
        assert f"{weight.nbytes:,}" in line
        assert re.search(r" int4 +symmetric, blocks of 32, minmax ", line)
        assert re.search(r"\d\.\d dB", line)
    assert len(re.findall(r" skipped +block size 32 does not divide", dry.stdout)) == 4
    assert "3 quantized, 4 left as they are" in dry.stdout


@pytest.mark.parametrize("dry", [True, False])
def test_reports(output: Path, tmp_path: Path, dry: bool) -> None:
    where = ("--dry-run",) if dry else (output, "--force")
    texts = {}
    for suffix in ("html", "json", "md"):
        report = tmp_path / f"report.{suffix}"
        options = ("--dtype", "int4", "--granularity", "per_block", "--report", report)
        assert run("quantize", MODEL, *where, *options).returncode == 0
        texts[suffix] = report.read_text("utf-8")
    content = json.loads(texts["json"])
    assert content["title"] == MODEL.name
    assert content["weights"] == {"quantized": 3, "kept": 0, "skipped": 4}
    before, after = content["nbytes_before"], content["nbytes_after"]
    assert before == 970_752
    assert after == sum(record["nbytes_after"] for record in content["records"])
    others = [(other["nbytes"], other["reason"]) for other in content["others"]]
    assert others[0] == (720, "never in a matmul or convolution")
    assert content["bits_per_weight"] < 8
    assert texts["html"].startswith("<!doctype html>")
    assert texts["md"].startswith("# crepe\\_tiny\\_f16.aimodel\n")
    for text in (texts["html"], texts["md"]):
        assert f"{before:,} before, {after:,} after" in text
    assert output.exists() is not dry


def test_a_report_replaces_what_was_there(tmp_path: Path) -> None:
    (report := tmp_path / "report.md").write_text("old")
    assert run("quantize", MODEL, "--dry-run", "--dtype=int8", "--report", report).returncode == 0
    assert report.read_text().startswith("# crepe")
    assert list(tmp_path.iterdir()) == [report]


def save(program: AIProgram, path: Path) -> Path:
    program.save_asset(path)
    return path


def test_identical_weights_are_stored_once_and_planned_once(output: Path, tmp_path: Path) -> None:
    same = random_weight((64, 64))
    source = save(layers(*[same] * 10), tmp_path / "in.aimodel")
    assert asset_bytes(source) < 3 * same.nbytes
    result = quantize(source, output, "--target-size", 12_000)
    assert result.returncode == 0, result
    assert asset_bytes(output) <= 12_000
    assert len({weight.format for weight in find_quantized(load_asset(output).program)}) == 1


def test_a_file_that_is_too_large_is_not_left(
    output: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As it would be if Core AI's files took more than they do."""
    from coreai_opt import cli
    from coreai_opt.cli import budget

    monkeypatch.setattr(budget, "IR_BYTES", -10_000)
    arguments = ["quantize", str(MODEL), str(output), "--target-size", "300000"]
    assert cli.main(arguments) == 2
    message = r"the asset takes 3\d\d,\d{3} bytes, more than --target-size 300,000: ask for "
    assert re.search(message, capfd.readouterr().err)
    assert list(output.parent.iterdir()) == []


def test_a_report_that_cannot_be_written_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (path := tmp_path / "report.md").write_text("old")

    def fail(*arguments: object) -> None:
        raise PermissionError("not now")

    monkeypatch.setattr(assets.os, "replace", fail)
    with pytest.raises(PermissionError):
        assets.write_text(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


ERRORS = [
    (("--target-size", "3 apples"), "must be a size such as 25MB, in B, KB, MB, GB, KiB"),
    (("--target-size", "-3"), "--target-size"),
    (("--target-size", "100KB"), "--target-size 100,000 cannot be reached: with the smallest"),
    (("--target-size", "300KB", "--min-sqnr", "20"), "--target-size and --min-sqnr cannot be"),
    (("--target-size", "300KB", "--dtype", "int4"), "--dtype has no place beside --target-size"),
    (("--min-sqnr", "20", "--dtype", "int4"), "--dtype has no place beside --min-sqnr"),
    (("--min-sqnr", "20", "--rules", "x.toml"), "edit what --plan-out writes and give it as --r"),
    (("--min-sqnr", "20", "--granularity", "per_channel"), "--granularity has no place beside"),
    (("--min-sqnr", "20", "--block-size", "16"), "--block-size has no place beside"),
    (("--min-sqnr", "20", "--qscheme", "symmetric"), "--qscheme has no place beside"),
    (("--min-sqnr", "20", "--scale-dtype", "fp8_e8m0fnu"), "--scale-dtype has no place beside"),
    (("--min-sqnr", "20", "--observer", "mse"), "--observer has no place beside"),
    (("--min-sqnr", "20", "--indivisible", "fit"), "--indivisible has no place beside"),
    (("--min-sqnr", "20", "--importance", "x.npz"), "--importance has no place beside"),
    (("--min-sqnr", "twenty"), "--min-sqnr"),
    (("--min-sqnr", "nan"), "--min-sqnr: must be a number of dB such as 30; got 'nan'"),
    (("--min-sqnr", "-1"), "--min-sqnr must be a number of dB, finite and >= 0; got -1.0"),
    (("--min-sqnr", "20", "--threshold", "9999999"), "no weights of more than 9,999,999 elements"),
    (("--min-sqnr", "20", "--inputs", "missing.npz"), "missing.npz"),
    (("--min-sqnr", "20", "--plan-out", "plan.json"), "--plan-out must end in .toml; got plan.js"),
    (("--min-sqnr", "20", "--plan-out", "no/plan.toml"), "there is no folder no to write plan.to"),
    (("--dtype", "int4", "--plan-out", "plan.toml"), "--plan-out needs --target-size or --min-s"),
    (("--dtype", "int4", "--inputs", "missing.npz"), "missing.npz"),
    (("--dtype", "int4", "--report", "report.pdf"), "--report must end in .html or .json or .md"),
    (("--dtype", "int4", "--report", "no/report.md"), "there is no folder no to write report.md"),
    (
        ("--dtype", "int4", "--report", "folder.md"),
        "--report must be a file; folder.md is a folder",
    ),
]


@pytest.mark.parametrize(("options", "words"), ERRORS, ids=[" ".join(o) for o, _ in ERRORS])
def test_errors_say_what_to_do_and_nothing_is_written(
    tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    (tmp_path / "folder.md").mkdir()
    result = run("quantize", MODEL, "out.aimodel", *options, cwd=tmp_path)
    assert words in failed(result)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.md"]


def test_inputs_that_are_not_the_programs(tmp_path: Path, output: Path) -> None:
    np.savez(path := tmp_path / "y.npz", y=SAMPLE)
    for options in (("--min-sqnr", "20"), ("--dtype", "int4", "--verify")):
        message = failed(quantize(MODEL, output, *options, "--inputs", path))
        assert "the program has no input 'y'; the program takes x: float16 [4, 1024]" in message
    assert not output.exists()


def test_an_output_is_needed_unless_nothing_is_written() -> None:
    message = failed(run("quantize", MODEL, "--dtype", "int4"))
    assert message == "OUT.aimodel or -o FOLDER is needed, or --dry-run to write nothing"


@pytest.mark.parametrize("size", ["490515", "490.515k", "50%", "50.0 %"])
def test_a_size_may_be_short_or_a_share_of_the_file(tmp_path, size):
    """CREPE-tiny takes 981,031 bytes."""
    done = quantize(MODEL, tmp_path / "out.aimodel", "--target-size", size, "--dry-run")
    assert done.returncode == 0, done.stderr
    want = quantize(MODEL, tmp_path / "out.aimodel", "--target-size", "490515", "--dry-run")
    assert without_time(done.stdout) == without_time(want.stdout)


def without_time(printed: str) -> str:
    return printed.partition("\ntime ")[0]
