"""``coreai-opt palettize`` and ``sparsify``: the manners of ``quantize``, and what each writes."""

import json
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.coreai_utils import palettize_weights, sparsify_weights
from coreai_opt.program import assets
from coreai_opt.program.channel_axes import input_axes
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.command import MODEL, contents, failed, run
from ..support.programs import all_stored

COMMANDS = pytest.mark.parametrize("command", ["palettize", "sparsify"])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.aimodel"


def program_of(asset: Path):
    return assets.load_asset(asset).program


def formats(asset: Path) -> list[str]:
    return [weight.format for weight in find_quantized(program_of(asset))]


def test_palettize_writes_what_palettize_weights_makes(output, tmp_path):
    program = program_of(MODEL)
    weight = find_weights(program, 1024)[-1]
    random = np.random.default_rng(0).normal(0, 2, weight.shape[input_axes(weight)[0]])
    importance = {weight.name: np.exp(random)}
    np.savez(file := tmp_path / "importance.npz", **importance)
    options = ("--n-bits", 3, "--granularity", "per-grouped-channel", "--group-size", 4)
    options += ("--enable-per-channel-scale", "--importance", file)
    result = run("palettize", MODEL, output, *options)
    assert result.returncode == 0, result
    assert "7 quantized, 0 left as they are" in result.stdout
    assert "lut3 per_block: 7 weights" in result.stdout
    expected = palettize_weights(
        program,
        None,
        3,
        "per_grouped_channel",
        4,
        enable_per_channel_scale=True,
        importance=importance,
    )
    assert all_stored(program_of(output)) == all_stored(expected)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        (("--cluster-dim", 2, "--n-bits", 6), {"n_bits": 6, "cluster_dim": 2}),
        (
            ("--scale-block-size", 4, "--observer", "mse"),
            {"scale_block_size": 4, "observer": "mse"},
        ),
    ],
)
def test_palettize_has_vectors_and_searches(output, options, arguments):
    assert run("palettize", MODEL, output, *options).returncode == 0
    expected = palettize_weights(program_of(MODEL), None, **arguments)
    assert all_stored(program_of(output)) == all_stored(expected)
    assert find_quantized(expected)


def test_palettize_has_the_defaults_of_palettize_weights(output):
    assert run("palettize", MODEL, output).returncode == 0
    expected = palettize_weights(program_of(MODEL), None)
    assert all_stored(program_of(output)) == all_stored(expected)


@pytest.mark.parametrize(
    ("options", "arguments"),
    [
        ((), {}),
        (
            ("--target-sparsity", "0.75", "--block-size", 4),
            {"target_sparsity": 0.75, "block_size": 4},
        ),
        (
            ("--n-m-ratio", "1:2", "--quantize-dtype", "int8"),
            {"target_sparsity": None, "n_m_ratio": (1, 2), "quantize_dtype": "int8"},
        ),
        (("--palettize-nbits", 6), {"palettize_nbits": 6}),
    ],
)
def test_sparsify_writes_what_sparsify_weights_makes(output, options, arguments):
    assert run("sparsify", MODEL, output, *options).returncode == 0
    expected = sparsify_weights(program_of(MODEL), **arguments)
    assert all_stored(program_of(output)) == all_stored(expected)


@COMMANDS
def test_rules_reports_and_a_comparison(command, output, tmp_path):
    rules, report = tmp_path / "rules.toml", tmp_path / "report.json"
    rules.write_text('[[rule]]\nconsumer = "conv2d"\ndtype = "int8"\n')
    files = ("--rules", rules, "--report", report)
    result = run(command, MODEL, output, *files, "--verify", "--threads", 1)
    assert result.returncode == 0, result
    records = json.loads(report.read_text())["records"]
    assert "int8" in {record["format_after"] for record in records}
    assert "int8" in formats(output)
    assert "cosine" in result.stdout


@COMMANDS
def test_a_dry_run_writes_nothing_and_tells_all(command, tmp_path):
    result = run(command, MODEL, "--dry-run", cwd=tmp_path)
    assert result.returncode == 0
    assert list(tmp_path.iterdir()) == []
    assert result.stdout.count(" lut4 " if command == "palettize" else " sparse ") >= 7
    assert " symmetric " not in result.stdout


@COMMANDS
def test_an_output_that_exists_is_replaced_only_by_force(command, output):
    assert run("quantize", MODEL, output, "--dtype", "int8").returncode == 0
    before = contents(output)
    assert "exists" in failed(run(command, MODEL, output))
    assert contents(output) == before
    assert run(command, MODEL, output, "--force").returncode == 0
    assert "int8" not in formats(output)
    assert [path.name for path in output.parent.iterdir()] == ["out.aimodel"]


@COMMANDS
def test_what_is_left_is_a_failure_where_that_is_asked_for(command, output):
    options = {
        "palettize": ("--scale-block-size", 7),
        "sparsify": ("--n-m-ratio", "1:5000"),
    }[command]
    result = run(command, MODEL, output, *options, "--fail-on-skip")
    assert result.returncode == 1
    assert "could not be quantized as they should be (--fail-on-skip)" in result.stderr
    assert output.exists()


@COMMANDS
@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--function", "main"), "--function and --size need --verify"),
        (("--report", "x.txt"), "--report must end in .html or .json or .md"),
        (("--rules", "none.toml"), "none.toml"),
        (("--threads", "0"), "a whole number >= 1"),
    ],
)
def test_options_that_cannot_be_used(command, options, message, output):
    assert message in failed(run(command, MODEL, output, *options))
    assert not output.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("palettize", "--n-bits", 5), "--n-bits must be one of 1, 2, 3, 4, 6, 8; got 5"),
        (("palettize", "--cluster-dim", 257), "--cluster-dim must be at most 256; got 257"),
        (
            ("palettize", "--cluster-dim", 2, "--scale-block-size", 8),
            "--scale-block-size is not supported with --cluster-dim above 1",
        ),
        (
            ("palettize", "--cluster-dim", 2, "--enable-per-channel-scale"),
            "--enable-per-channel-scale is not supported with --cluster-dim above 1",
        ),
        (("palettize", "--group-size", 8), "--group-size needs --granularity per_grouped_channel"),
        (("palettize", "--granularity", "per_block"), "must be one of per_tensor, per_channel"),
        (
            ("palettize", "--enable-per-channel-scale", "--scale-block-size", 8),
            "--scale-block-size cannot be set beside --enable-per-channel-scale\n",
        ),
        (("sparsify", "--target-sparsity", "2"), "must be from 0 to 1, or 0% to 100%; got '2'"),
        (("sparsify", "--n-m-ratio", "2"), "two whole numbers such as 2:4; got '2'"),
        (("sparsify", "--n-m-ratio", "4:2"), "--n-m-ratio requires 0 <= n <= m"),
        (("sparsify", "--n-m-ratio", "0:0"), "--n-m-ratio requires m > 0"),
        (("sparsify", "--palettize-nbits", 5), "Invalid --palettize-nbits 5"),
        (
            ("sparsify", "--n-m-ratio", "2:4", "--block-size", 4),
            "--block-size has no place beside --n-m-ratio: leave one out",
        ),
        (("sparsify", "--n-m-ratio", "1:2", "--target-sparsity", "0.5"), "not allowed with"),
    ],
)
def test_settings_that_cannot_be_used(options, message, output):
    command, *rest = options
    assert message in failed(run(command, MODEL, output, *rest)) + "\n"


def test_inspect_compare_and_dequantize_know_what_was_written(output, tmp_path):
    for command, name in (("palettize", "lut4"), ("sparsify", "sparse float16")):
        assert run(command, MODEL, output, "--force").returncode == 0
        listed = run("inspect", output).stdout
        assert "7 weights are quantized" in listed
        assert listed.count(name) == 7
        assert run("compare", MODEL, output).returncode == 0
        floats = tmp_path / "floats.aimodel"
        assert "7 dequantized" in run("dequantize", output, floats, "--force").stdout
        assert formats(floats) == []


def test_a_plan_with_tables_fits_and_can_be_replayed(output, tmp_path):
    plan, again = tmp_path / "plan.toml", tmp_path / "again.aimodel"
    size = ("--target-size", "22%", "--forms", "integer,table", "--plan-out", plan)
    result = run("quantize", MODEL, output, *size)
    assert result.returncode == 0, result
    assert "n_bits = " in plan.read_text()
    assert assets.asset_bytes(output) <= 0.22 * assets.asset_bytes(MODEL)
    assert run("quantize", MODEL, again, "--rules", plan).returncode == 0
    assert all_stored(program_of(again)) == all_stored(program_of(output))
    refused = run("quantize", MODEL, output, "--force", "--dtype", "int8", "--forms", "table")
    assert "--forms needs --target-size or --min-sqnr" in failed(refused)
    refused = run("quantize", MODEL, output, "--force", *size[:2], "--forms", "float")
    assert "must be one of integer, table; got 'float'" in failed(refused)
