"""What reports tell beside the weights: files, outputs, formats, the plan, how it came about."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.coreai_utils import compare_programs, plan_quantization, quantize_weights
from coreai_opt.evaluation.output_comparison import compare_outputs
from coreai_opt.program.assets import load_asset
from coreai_opt.reports import QuantizationReport
from coreai_opt.reports.circumstances import RANDOM_INPUTS, Circumstances, Planned
from coreai_opt.reports.frontier_chart import frontier_chart

from ..support.command import MODEL, quantize

OUTPUTS = tuple(compare_outputs({"probs": np.ones((2, 3))}, {"probs": np.full((2, 3), 0.9)}))
PLAN = Planned(((100, 10.0), (200, 20.0), (300, math.inf)), (200, 20.0), "weights")


@pytest.fixture
def report() -> QuantizationReport:
    report = QuantizationReport("CREPE-tiny")
    quantize_weights(load_asset(MODEL).program, "int4", progress=report)
    report.circumstances = Circumstances(
        nbytes_before=1000,
        nbytes_after=250,
        outputs=OUTPUTS,
        outputs_on="random inputs",
        plan=PLAN,
        command="coreai-opt quantize <model>",
        versions=(("numpy", "2"),),
        date="2026-01-01T00:00:00+00:00",
    )
    return report


def test_all_of_it_is_in_the_page(report: QuantizationReport) -> None:
    page = report.to_html()
    for text in (
        *("250 (25.0 %)", "random inputs", "20.0 dB", "coreai-opt quantize &lt;model&gt;"),
        *("numpy 2", "2026-01-01T00:00:00+00:00", "int4 symmetric, per channel, minmax"),
    ):
        assert text in page
    assert page.index("<h2>Outputs") < page.index("<h2>Formats") < page.index("<h2>The worst")


def test_all_of_it_is_in_markdown(report: QuantizationReport) -> None:
    text = report.to_markdown()
    for part in ("## Outputs on random inputs", "20.0 dB", "## Formats", "1,000 before, 250 after"):
        assert part in text


def test_all_of_it_is_in_json(report: QuantizationReport) -> None:
    content = json.loads(report.to_json())
    assert content["schema_version"] == 2
    assert content["file"] == {"nbytes_before": 1000, "nbytes_after": 250}
    assert content["outputs"][0]["sqnr_db"] == OUTPUTS[0].sqnr_db
    assert content["plan"]["frontier"][-1] == {"nbytes": 300, "sqnr_db": None}
    assert content["versions"] == {"numpy": "2"}
    (found,) = content["formats"]
    assert (found["weights"], found["nbytes"]) == (7, report.nbytes_after)
    elements = sum(math.prod(record.shape) for record in report.records)
    assert found["bits_per_weight"] == 8 * report.nbytes_after / elements


def test_random_inputs_are_said_to_tell_little(report: QuantizationReport) -> None:
    assert RANDOM_INPUTS in report.to_html()
    assert RANDOM_INPUTS in report.to_markdown()
    report.circumstances = replace(report.circumstances, outputs_on="inputs x.npz")
    assert RANDOM_INPUTS not in report.to_html()
    assert RANDOM_INPUTS not in report.to_markdown()


def test_a_name_without_room_is_broken_between_its_parts(report: QuantizationReport) -> None:
    name = "main/broadcasting_batch_matmul:1/4096x256@138"
    report.records = [replace(record, name=name) for record in report.records]
    broken = "main/<wbr>broadcasting_<wbr>batch_<wbr>matmul:<wbr>1/<wbr>4096x256<wbr>@138"
    assert f"<td>{broken}</td>" in report.to_html()


def test_the_chart_has_a_dot_for_each_plan_and_one_for_the_chosen() -> None:
    chart = frontier_chart(PLAN)
    assert chart.count('class="point"') == 2  # an infinite SQNR has no place
    assert chart.count('class="chosen"') == 1
    assert not frontier_chart(Planned(((300, math.inf),), (300, math.inf), "weights"))


@pytest.mark.parametrize("min_sqnr", [20.0, 30.0])
def test_a_plan_and_the_report_of_it_agree(min_sqnr: float) -> None:
    program = load_asset(MODEL).program
    plan = plan_quantization(program, min_sqnr=min_sqnr)
    report = QuantizationReport()
    quantize_weights(program, None, overrides=plan.rules, progress=report)
    assert report.sqnr_db == pytest.approx(plan.sqnr_db, rel=1e-9)
    assert plan.sqnr_db >= min_sqnr


def test_the_command_tells_it_all(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    options = ("--target-size", "60%", "--verify", "--report", file)
    done = quantize(MODEL, tmp_path / "out.aimodel", *options)
    assert done.returncode == 0
    assert "verify " not in done.stdout
    content = json.loads(file.read_text())
    assert content["command"].startswith("coreai-opt quantize ")
    before = content["file"]["nbytes_before"]
    assert 0.5 * before < content["plan"]["chosen"]["nbytes"] <= 0.6 * before
    (output,) = content["outputs"]
    after = load_asset(tmp_path / "out.aimodel")
    (wanted,) = compare_programs(load_asset(MODEL), after)
    assert output["sqnr_db"] == wanted.sqnr_db
    files = (tmp_path / "out.aimodel").iterdir()
    assert content["file"]["nbytes_after"] == sum(path.stat().st_size for path in files)


def test_inputs_are_run_on_without_verify(tmp_path: Path) -> None:
    file, out, inputs = tmp_path / "r.json", tmp_path / "out.aimodel", tmp_path / "x.npz"
    arrays = {"x": np.random.default_rng(0).standard_normal((4, 1024), dtype=np.float32)}
    np.savez(inputs, **arrays)
    for goal in (("--dtype", "int4"), ("--target-size", "60%")):
        done = quantize(MODEL, out, *goal, "--inputs", inputs, "--report", file, "--force")
        assert done.returncode == 0
        assert f"Outputs on inputs {inputs}\n" in done.stdout
        (output,) = json.loads(file.read_text())["outputs"]
        (want,) = compare_programs(load_asset(MODEL), load_asset(out), arrays)
        assert output["sqnr_db"] == want.sqnr_db


def test_where_only_weights_were_looked_at_the_command_says_to_verify(tmp_path: Path) -> None:
    done = quantize(MODEL, tmp_path / "out.aimodel", "--target-size", "60%")
    assert "SQNR of the weights" in done.stdout
    assert "\nverify   The SQNR above is of the weights" in done.stdout


def test_progress_counts_what_is_measured_and_run() -> None:
    program = load_asset(MODEL).program
    told: list[tuple[str, int, int]] = []

    def tell(what: str, done: int, total: int) -> None:
        told.append((what, done, total))

    plan_quantization(program, target_bytes=600_000, progress=tell)
    assert told == [("measuring", number, 7) for number in range(1, 8)]
    told.clear()
    compare_programs(program, program, progress=tell)
    assert told == [("running", 1, 2), ("running", 2, 2)]


def test_a_plan_and_a_report_print_as_a_few_lines(report: QuantizationReport) -> None:
    plan = plan_quantization(load_asset(MODEL).program, target_bytes=300_000)
    first, *formats = str(plan).splitlines()
    quality = f"SQNR of the weights: {plan.sqnr_db:.1f} dB"
    assert first == f"7 weights, {plan.nbytes:,} bytes, {quality}"
    assert sum(int(line.split()[0]) for line in formats) == 7
    assert repr(plan) == f"QuantizationPlan({first})"
    assert repr(report) == "QuantizationReport('CREPE-tiny', 7 weights)"
    lines = str(report).splitlines()
    assert lines[0] == "CREPE-tiny"
    assert lines[-1].split() == ["7", "int4", "symmetric,", "per", "channel,", "minmax"]
    assert len(lines) < 24
