"""What the command says of weights that it leaves, how loud it is, and what it says at the end."""

import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from coreai_opt.program.assets import load_asset
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.command import MODEL, PER_BLOCK, quantize, run
from ..support.terminal import shown

IN_BLOCKS = ("--dtype", "int4", *PER_BLOCK)


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "out.aimodel"


def test_weights_left_for_one_cause_are_one_line_that_counts_them(output: Path) -> None:
    (line,) = quantize(MODEL, output, *IN_BLOCKS).stderr.splitlines()
    left = find_weights(load_asset(output).program, 1024)
    channels = Counter(weight.shape[1] for weight in left).most_common()
    assert len(channels) > 1
    counted = ", ".join(f"{number} ({count})" for number, count in channels)
    assert line == (
        f"coreai-opt: warning: {len(left)} weights are left as they are: block size 32 does not "
        f"divide their input channels, {counted}; --indivisible fit takes smaller ones that do "
        "(-v names them)"
    )


def test_a_weight_that_is_alone_with_its_cause_is_named(output: Path) -> None:
    (odd,) = [w for w in find_weights(load_asset(MODEL).program, 1024) if w.shape[1] == 1]
    rules = output.with_name("rules.toml")
    rules.write_text(
        f'[[rule]]\nname = "{odd.name}"\n'
        'dtype = "int4"\ngranularity = "per_block"\nblock_size = 32\n'
    )
    (line,) = run("quantize", MODEL, output, "--rules", rules).stderr.splitlines()[:1]
    assert line.startswith(f"coreai-opt: warning: {odd.name} (")


def test_quiet_prints_nothing_but_errors(output: Path) -> None:
    done = quantize(MODEL, output, *IN_BLOCKS, "-q")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    refused = quantize(MODEL, output, *IN_BLOCKS, "-q")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "exists" in refused.stderr


def test_what_is_quantized_already_is_said_with_what_to_do(output: Path) -> None:
    assert quantize(MODEL, output, *IN_BLOCKS).returncode == 0
    again = quantize(output, output.with_name("again.aimodel"), "--dtype", "int8")
    (line,) = again.stderr.splitlines()
    assert line.startswith(
        f"coreai-opt: warning: 3 of the 7 weights of {output} are quantized already and stay"
    )
    assert "coreai-opt dequantize" in line


def test_the_end_says_which_formats_and_where(output: Path) -> None:
    done = quantize(MODEL, output, *IN_BLOCKS, "--indivisible", "fit")
    lines = done.stdout.splitlines()
    assert lines[-1] == f"wrote    {output}"
    quantized = find_quantized(load_asset(output).program)
    for granularity in ("per_block", "per_channel"):
        of = [weight for weight in quantized if weight.granularity == granularity]
        count = f"{len(of)} weight{'s' * (len(of) > 1)}"
        bytes_ = sum(weight.nbytes for weight in of)
        (line,) = [line for line in lines if f"int4 symmetric {granularity}:" in line]
        assert line.endswith(f"{count}, {bytes_:,} bytes")


def test_progress_is_shown_on_a_terminal_and_nowhere_else(output: Path) -> None:
    options = ("--target-size", "60%", "--verify", "--force")
    text = shown(100, "quantize", MODEL, output, *options)
    assert "7/7" in text
    assert "measuring" in text
    assert "2/2" in text
    assert "running" in text
    assert "measuring" not in shown(100, "quantize", MODEL, output, *options, "-q")
    assert quantize(MODEL, output, *options).stderr == ""


def test_a_narrow_terminal_shows_the_whole_count_and_no_part_of_a_name(output: Path) -> None:
    text = shown(40, "quantize", MODEL, output, "--dtype", "int8")
    bars = [part for part in re.split(r"[\r\n]+", text) if part.startswith("━" * 10)]
    assert any(re.fullmatch(r"━+ reading", bar.rstrip()) for bar in bars), "0/? says nothing"
    assert any(re.fullmatch(r"━+ 7/7 0:00:00 weights", bar.rstrip()) for bar in bars), bars


def test_inputs_are_run_on_with_progress_from_the_beginning(output: Path, tmp_path: Path) -> None:
    """Running the program as it is comes first, and comparing two plans last."""
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.random.default_rng(0).standard_normal((4, 1024), dtype=np.float32))
    text = shown(80, "quantize", MODEL, output, "--target-size", "33%", "--inputs", inputs)
    bars = [re.sub("[━╸╺]+", "", part).split() for part in re.split(r"[\r\n]+", text)]
    assert ["running"] in bars
    assert ["comparing", "plans"] in [bar[-2:] for bar in bars]
    assert not any(bar[:1] == ["0/?"] for bar in bars)


def test_a_dry_run_has_the_sqnr_at_80_columns(output: Path) -> None:
    text = shown(80, "quantize", MODEL, "--dry-run", *IN_BLOCKS)
    for weight in find_weights(load_asset(MODEL).program, 1024):
        (line,) = (line for line in text.splitlines() if line.startswith(f" {weight.name} "))
        assert re.search(r" (int4 .*\d dB|skipped) *$", line)
        assert len(line) <= 80
