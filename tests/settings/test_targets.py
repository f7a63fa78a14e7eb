"""Formats that are reported not to work on a target, and settings that go by a name."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreai_opt import ArgumentError, Settings, palettize_array, quantize_array
from coreai_opt.coreai_utils import (
    Target,
    palettize_weights,
    plan_quantization,
    quantize_weights,
)
from coreai_opt.program.assets import asset_bytes
from coreai_opt.program.forms import blockwise, table
from coreai_opt.reference import FORMATS, unpack
from coreai_opt.settings.checked import check_any
from coreai_opt.settings.presets import PRESETS, find_preset
from coreai_opt.settings.settings import DEFAULTS, TABLE_DEFAULTS
from coreai_opt.settings.targets import REPORTS, report_against

from ..support.command import MODEL, contents, failed, quantize, run
from ..support.programs import matmul_program, random_weight
from ..support.terminal import shown

WEIGHT = random_weight((128, 64))
PER_CHANNEL, PER_BLOCK = {"granularity": "per_channel"}, {"granularity": "per_block"}


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: f"{report.target}: {report.what}")
def test_reports_say_who_when_and_what_else(report: Any) -> None:
    assert re.fullmatch(r"20\d\d-[01]\d-[0-3]\d", report.date)
    assert report.source
    defaults = DEFAULTS if report.instead.n_bits is None else TABLE_DEFAULTS
    instead = check_any(defaults.merge(report.instead))
    assert not report.concerns(instead)
    assert report_against(instead, report.target) is None


@pytest.mark.parametrize(
    ("target", "settings", "words"),
    [
        ("neural-engine", {"dtype": "int4", **PER_CHANNEL}, "integers of 4 bits are reported"),
        ("neural-engine", {"dtype": "uint4", **PER_BLOCK}, "apple/coreai-models#205"),
        ("neural-engine", {"dtype": "int8", **PER_BLOCK}, "apple/coreai-models#279, 2026-09-22"),
        ("gpu", {"dtype": "int8", **PER_CHANNEL}, "take dtype int8, granularity per_block"),
        ("gpu", {"dtype": "uint8", **PER_CHANNEL}, "target='gpu': integers of 8 bits"),
    ],
)
def test_what_is_reported_not_to_work_is_an_error(
    target: str, settings: dict[str, str], words: str
) -> None:
    program = matmul_program(WEIGHT)
    for where in (target, Target(target)):
        with pytest.raises(ArgumentError, match=re.escape(words)):
            quantize_weights(program, **settings, target=where, in_place=True)
    quantize_weights(program, **settings, weight_num_threshold=0, target="cpu")
    quantize_weights(program, **settings, weight_num_threshold=0)


@pytest.mark.parametrize(
    ("target", "settings"),
    [
        ("neural-engine", {"dtype": "int8", **PER_CHANNEL}),
        ("neural-engine", {"dtype": "fp8_e4m3fn", **PER_BLOCK}),
        ("gpu", {"dtype": "int4", **PER_BLOCK}),
        ("gpu", {"dtype": "int8", **PER_BLOCK}),
    ],
)
def test_what_nothing_is_reported_of_is_done(target: str, settings: dict[str, str]) -> None:
    quantize_weights(matmul_program(WEIGHT), **settings, target=target)


def test_tables_with_block_scales_are_an_error_for_the_neural_engine() -> None:
    program = matmul_program(WEIGHT)
    with pytest.raises(ArgumentError, match="take granularity per_grouped_channel, n_bits 4"):
        palettize_weights(program, None, scale_block_size=32, target="neural-engine")
    palettize_weights(program, None, enable_per_channel_scale=True, target="neural-engine")
    palettize_weights(program, None, scale_block_size=32, target="gpu")
    plan = plan_quantization(program, min_sqnr=15, forms=["table"], target="neural-engine")
    chosen = [rule for rule in plan.rules if rule.n_bits is not None]
    assert chosen
    assert all(rule.scale_block_size is None for rule in chosen)


def test_rules_are_checked_too() -> None:
    rules = [{"name": "*", "dtype": "int8"}, {"name": "*", "dtype": "int4"}]
    with pytest.raises(ArgumentError, match=r"^rule 2: .*integers of 4 bits"):
        quantize_weights(matmul_program(WEIGHT), None, overrides=rules, target="neural-engine")
    with pytest.raises(ArgumentError, match="must be a Target or one of the strings 'gpu'"):
        quantize_weights(matmul_program(WEIGHT), "int8", target="ane")  # type: ignore[arg-type]  # the error to test


@pytest.mark.parametrize("target", Target)
def test_plans_avoid_what_is_reported(target: Target) -> None:
    program = matmul_program(WEIGHT)
    options: dict[str, Any] = {"weight_num_threshold": 0, "target": target}
    least = {Target.NEURAL_ENGINE: 8500}.get(target, 3100)  # 8 bits, or 2
    with pytest.raises(ArgumentError, match="cannot be reached"):
        plan_quantization(program, target_bytes=least - 500, **options)
    for size in range(least, 34_000, 500):
        plan = plan_quantization(program, target_bytes=size, **options)
        # Which would find what is reported.
        quantize_weights(program, None, overrides=plan.rules, target=target)
    candidate = [{"dtype": "int8"}, {"dtype": "int4"}]
    if target is Target.NEURAL_ENGINE:
        with pytest.raises(ArgumentError, match=r"candidate 2: .*integers of 4 bits"):
            plan_quantization(program, min_sqnr=10, candidates=candidate, **options)


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_presets_take_the_bits_that_they_say(preset: Any) -> None:
    weight = random_weight((64, 4096), np.float16)
    said, size = preset.settings.said(), 64 * 4096
    block = {"per_block": said.get("block_size")}.get(said["granularity"], 0)
    if preset.of_tables:
        tables = palettize_array(weight, said["n_bits"], block_sizes=(said["group_size"], 0))
        assert 8 * table.saved_bytes(tables) / size == pytest.approx(preset.bits, abs=0.01)
    else:
        codes = quantize_array(
            weight, said["dtype"], block_sizes=(1, block), observer=said.get("observer", "minmax")
        )
        assert 8 * blockwise.saved_bytes(codes) / size == pytest.approx(preset.bits, abs=0.01)


def test_the_preset_for_macs_uses_all_codes() -> None:
    weight = random_weight((64, 4096), np.float16)
    settings = find_preset("macos-4bit").settings
    quantized = quantize_array(
        weight, settings.dtype, block_sizes=(1, 32), observer=settings.observer
    )
    codes = unpack(quantized.packed, FORMATS["int4"], quantized.shape)
    assert set(np.unique(codes).tolist()) == set(range(-8, 8))


def test_presets_are_found_by_name() -> None:
    assert find_preset("int8").settings == Settings(dtype="int8", granularity="per_channel")
    with pytest.raises(ArgumentError, match="preset must be one of 'macos-4bit', 'int8'"):
        find_preset("int5")


# The command.


def test_a_preset_is_its_options(tmp_path: Path) -> None:
    for name, options in {
        "preset": ("--preset", "macos-4bit", "--block-size", 16),
        "options": (
            *("--dtype", "int4", "--granularity", "per_block", "--block-size", 16),
            *("--observer", "mse", "--indivisible", "fit"),
        ),
    }.items():
        assert quantize(MODEL, tmp_path / f"{name}.aimodel", *options).returncode == 0
    both = [contents(tmp_path / f"{name}.aimodel") for name in ("preset", "options")]
    assert both[0].keys() == both[1].keys()
    sizes = [len(files["main.mlirb"]) for files in both]
    assert sizes[0] == sizes[1]
    beside = quantize(MODEL, tmp_path / "x.aimodel", "--preset", "int8", "--min-sqnr", 30)
    assert "--preset has no place beside --target-size and --min-sqnr" in failed(beside)


def test_a_preset_of_tables_is_its_options(tmp_path: Path) -> None:
    for name, options in {
        "preset": ("--preset", "iphone-4bit", "--group-size", "16"),
        "options": ("--granularity", "per_grouped_channel", "--group-size", "16"),
    }.items():
        assert run("palettize", MODEL, tmp_path / f"{name}.aimodel", *options).returncode == 0
    sizes = [asset_bytes(tmp_path / f"{name}.aimodel") for name in ("preset", "options")]
    assert sizes[0] == sizes[1] < asset_bytes(MODEL) / 2
    other = quantize(MODEL, tmp_path / "x.aimodel", "--preset", "iphone-4bit")
    assert "got 'iphone-4bit'" in failed(other)


def test_presets_are_listed() -> None:
    listed = run("presets")
    assert (listed.returncode, listed.stderr) == (0, "")
    for preset in PRESETS:
        assert preset.what in listed.stdout
    for report in REPORTS:
        assert report.source in listed.stdout
        assert report.date in listed.stdout


@pytest.mark.parametrize("columns", [80, 60])
def test_presets_fit_a_terminal(columns: int) -> None:
    lines = shown(columns, "presets").splitlines()
    assert max(map(len, lines)) <= columns
    words = " ".join(line.strip() for line in lines)
    for preset in PRESETS:
        assert f"{preset.name} " in words
        assert preset.what in words


def test_a_target_refuses_in_the_words_of_the_command(tmp_path: Path) -> None:
    output = tmp_path / "out.aimodel"
    done = quantize(MODEL, output, "--preset", "macos-4bit", "--target", "neural-engine")
    assert failed(done).startswith("--target neural-engine: integers of 4 bits are reported not to")
    assert not output.exists()
    planned = ("--target-size", "600KB", "--target", "neural-engine", "--plan-out")
    plan = tmp_path / "plan.toml"
    assert quantize(MODEL, output, *planned, plan).returncode == 0
    assert set(re.findall('dtype = "(.*)"', plan.read_text())) == {"int8"}
