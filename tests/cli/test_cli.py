"""The command ``coreai-opt``, run as it is installed, on the trained network of the examples."""

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from coreai.authoring import AIModelAsset

from coreai_opt import cli
from coreai_opt.cli import quantize as quantize_command
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.evaluation.weight_error import measure_error
from coreai_opt.program import assets
from coreai_opt.program import quantize as program_quantize
from coreai_opt.program.channel_axes import input_axes
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.command import MODEL, PER_BLOCK, contents, failed, quantize, run
from ..support.programs import all_stored
from ..support.terminal import shown

MSE = ("--dtype", "int4", "--observer", "mse")
FORMATS = {
    "int2": (7, ()),
    "uint2": (7, ("--qscheme", "asymmetric")),
    "int4": (6, (*PER_BLOCK, "--block-size", "16")),
    "uint4": (6, (*PER_BLOCK, "--block-size", "16", "--qscheme", "asymmetric")),
    "int8": (7, ()),
    "uint8": (7, ("--granularity", "per_tensor")),
    "fp4_e2m1fn": (3, PER_BLOCK),
    "fp8_e4m3fn": (7, ()),
    "fp8_e5m2": (7, ("--scale-dtype", "fp8_e8m0fnu")),
}
"""How many of the seven weights can be quantized with which options; see the demo."""


def formats(asset: Path) -> list[str]:
    return [weight.format for weight in find_quantized(assets.load_asset(asset).program)]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return shutil.copytree(MODEL, tmp_path / "in.aimodel")


@pytest.fixture
def output(tmp_path: Path) -> Iterator[Path]:
    """A path to write to, in a folder that holds nothing else when the test is over."""
    folder = tmp_path / "out"
    folder.mkdir()
    yield folder / "out.aimodel"
    assert {path.name for path in folder.iterdir()} <= {"out.aimodel"}


@pytest.fixture
def existing(output: Path) -> Path:
    """An asset at ``output``: quantized to int8, so that it is told from all others."""
    assert quantize(MODEL, output, "--dtype", "int8").returncode == 0
    return output


@pytest.mark.parametrize("name", FORMATS)
def test_quantizes_to_each_format(output, name):
    count, options = FORMATS[name]
    result = quantize(MODEL, output, "--dtype", name, *options, "--backend", "validate")
    assert result.returncode == 0
    assert f"{count} quantized, {7 - count} left as they are" in result.stdout
    assert formats(output) == [name] * count


def test_the_observer_changes_scales_but_no_sizes(output, tmp_path):
    searched = tmp_path / "searched.aimodel"
    assert quantize(MODEL, output, "--dtype", "int4").returncode == 0
    assert quantize(MODEL, searched, "--dtype", "int4", "--observer", "mse").returncode == 0
    before, after = (contents(asset)["main.mlirb"] for asset in (output, searched))
    assert before != after
    assert len(before) == len(after)


def test_importances_come_from_a_file(output, tmp_path):
    program = assets.load_asset(MODEL).program
    weight = find_weights(program, 1024)[-1]
    random = np.random.default_rng(0).normal(0, 2, weight.shape[input_axes(weight)[0]])
    importance = {weight.name: np.exp(random)}
    np.savez(file := tmp_path / "importance.npz", **importance)
    assert quantize(MODEL, output, *MSE, "--importance", file).returncode == 0
    quantize_weights(program, "int4", in_place=True, observer="mse", importance=importance)
    assert all_stored(assets.load_asset(output).program) == all_stored(program)


def test_importances_that_do_not_fit(output, tmp_path):
    (text := tmp_path / "text.npz").write_text("hello")
    refused = quantize(MODEL, output, *MSE, "--importance", text)
    assert f"{text} is no .npz file of arrays" in failed(refused)
    np.savez(file := tmp_path / "importance.npz", nothing=np.ones(3))
    assert "names 'nothing'" in failed(quantize(MODEL, output, *MSE, "--importance", file))
    refused = quantize(MODEL, output, "--dtype", "int4", "--importance", file)
    assert "--importance must be left out unless --observer is" in failed(refused)
    missing = quantize(MODEL, output, *MSE, "--importance", tmp_path / "missing.npz")
    assert "missing.npz" in failed(missing)


def test_summary_has_the_sizes_on_disk(output):
    result = quantize(MODEL, output, "--dtype", "int8")
    before, after = (sum(map(len, contents(asset).values())) for asset in (MODEL, output))
    assert f"file     {before:,} -> {after:,} bytes" in result.stdout


def test_inspect_lists_what_is_there(output):
    before = run("inspect", MODEL)
    assert before.returncode == 0
    assert before.stderr == ""
    assert "7 weights can be quantized" in before.stdout
    assert "0 weights are quantized" in before.stdout
    linear = next(line for line in before.stdout.splitlines() if "(360, 256)" in line)
    for part in ("float16", "184,320", "main/broadcasting_batch_matmul:1/360x256@"):
        assert part in linear

    quantize(MODEL, output, "--dtype", "int4", *PER_BLOCK)
    after = run("inspect", output)
    assert "4 weights can be quantized" in after.stdout
    assert "3 weights are quantized" in after.stdout
    linear = next(line for line in after.stdout.splitlines() if "(360, 256)" in line)
    # 360 · 256 / 2 bytes of codes and 360 · 8 float16 scales; the zero points are a splat.
    for part in ("int4", "2,880 float16", "51,840"):
        assert part in linear


def test_inspect_keeps_to_the_threshold():
    assert "4 weights can be quantized" in run("inspect", MODEL, "--threshold", 32768).stdout


def test_skipped_weights_are_one_warning_line_each_if_asked_for(output):
    lines = quantize(MODEL, output, "--dtype", "int4", *PER_BLOCK, "-v").stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith("coreai-opt: warning: main/") for line in lines)


def test_skipped_weights_can_be_an_exit_code_of_their_own(output, tmp_path):
    """The asset is written all the same, and a weight that a rule keeps is not skipped."""
    result = quantize(MODEL, output, "--dtype", "int4", *PER_BLOCK, "--fail-on-skip")
    assert result.returncode == 1
    assert result.stderr.splitlines()[-1] == (
        "coreai-opt: error: 4 weights could not be quantized as they should be (--fail-on-skip)"
    )
    assert output.exists()
    fits = ("--force", "--indivisible", "fit", "--fail-on-skip")
    (rules := tmp_path / "rules.toml").write_text('[[rule]]\nconsumer = "*matmul"\nkeep = true\n')
    fits += ("--rules", rules)
    assert quantize(MODEL, output, "--dtype", "int4", *PER_BLOCK, *fits).returncode == 0


@pytest.mark.parametrize("on_terminal", [True, False])
@pytest.mark.parametrize(
    ("options", "measured"),
    [((), 0), (("--fail-on-skip",), 0), (("--report", "r.html"), 7), (("--dry-run",), 7)],
)
def test_errors_are_measured_where_they_are_shown(
    options, measured, on_terminal, output, tmp_path, monkeypatch
):
    """Neither the progress bar nor ``--fail-on-skip`` looks at them."""
    calls = []

    def measure(*arguments, **more):
        calls.append(None)
        return measure_error(*arguments, **more)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(program_quantize, "measure_error", measure)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: on_terminal)
    assert cli.main(["quantize", str(MODEL), str(output), "--dtype", "int8", *options]) == 0
    assert len(calls) == measured


def test_what_is_no_weight_is_summed_up_and_listed(output):
    result = quantize(MODEL, output, "--dtype", "int8")
    assert "others   20 float constants of 2,352 bytes are no weights" in result.stdout
    assert "never in a matmul or convolution" in result.stdout
    assert re.search(r"^bits     8\.\d\d per weight", result.stdout, re.M)
    listed = run("inspect", output).stdout
    assert "20 float constants of 2,352 bytes are no weights to quantize, the largest 10" in listed
    assert re.search(r"^8\.\d\d bits per weight", listed, re.M)


def test_warns_when_nothing_was_quantized(output):
    result = quantize(MODEL, output, "--dtype", "int8", "--threshold", 1_000_000)
    assert result.returncode == 0
    assert "coreai-opt: warning: no weight was quantized" in result.stderr
    assert formats(output) == []


def test_dequantize_goes_back_to_floats(existing, tmp_path):
    back = tmp_path / "back.aimodel"
    result = run("dequantize", existing, back)
    assert result.returncode == 0, result
    assert "7 dequantized, 0 skipped" in result.stdout
    before, after = (sum(map(len, contents(asset).values())) for asset in (existing, back))
    assert f"file     {before:,} -> {after:,} bytes" in result.stdout
    assert formats(back) == []
    weights = find_weights(assets.load_asset(back).program, 1024)
    originals = find_weights(assets.load_asset(MODEL).program, 1024)
    assert [(w.name, w.dtype) for w in weights] == [(w.name, w.dtype) for w in originals]
    assert "exists" in failed(run("dequantize", existing, back))
    assert run("dequantize", existing, back, "--force").returncode == 0


def test_dequantize_warns_when_there_is_nothing_to_do(output):
    result = run("dequantize", MODEL, output)
    assert result.returncode == 0
    assert "no weight was dequantized" in result.stderr


def test_rules_say_what_becomes_of_which_weight(output, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text(
        '[[rule]]\nconsumer = "*matmul"\nkeep = true\n'
        '[[rule]]\nshape = [16, "*", "*", "*"]\ndtype = "int4"\n'
    )
    assert quantize(MODEL, output, "--dtype", "int8", "--rules", rules).returncode == 0
    assert sorted(formats(output)) == ["int4"] * 3 + ["int8"] * 3


def test_with_rules_a_dtype_is_not_needed(output, tmp_path):
    rules = tmp_path / "rules.toml"
    rules.write_text('[[rule]]\nconsumer = "*matmul"\ndtype = "int4"\n')
    assert quantize(MODEL, output, "--rules", rules).returncode == 0
    assert formats(output) == ["int4"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "give --dtype, --preset or --rules, or else --target-size or --min-sqnr"),
        ("rule = 3", "must hold [[rule]] tables only"),
        ('[[rule]]\nname = "*3d*"\ndtype = "int4"', "rule 1 matches no weight; name '*3d*'"),
        ('[[rule]]\nname = "*"\ndtype = "int5"', "rule 1: Unsupported weight dtype 'int5'"),
    ],
)
def test_bad_rules_are_one_line(output, tmp_path, content, words):
    rules = tmp_path / "rules.toml"
    options = () if content is None else ("--rules", rules)
    rules.write_text(content or "")
    assert words in failed(quantize(MODEL, output, *options))
    assert not output.exists()


def test_indivisible_weights_can_be_fitted(output):
    options = ("--dtype", "int4", *PER_BLOCK, "--indivisible", "fit")
    assert quantize(MODEL, output, *options).stderr == ""
    assert formats(output) == ["int4"] * 7


def test_existing_output_needs_force(existing):
    before = contents(existing)
    assert "--force" in failed(quantize(MODEL, existing, "--dtype", "int4"))
    assert contents(existing) == before

    assert quantize(MODEL, existing, "--dtype", "int4", "--force").returncode == 0
    assert formats(existing) == ["int4"] * 7


def test_force_replaces_a_file(output):
    output.write_text("not an asset")
    assert quantize(MODEL, output, "--dtype", "int8", "--force").returncode == 0
    assert formats(output) == ["int8"] * 7


def test_output_may_be_the_input(output):
    shutil.copytree(MODEL, output)
    assert quantize(output, output, "--dtype", "int8", "--force").returncode == 0
    assert formats(output) == ["int8"] * 7


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "--dtype"),
        (("--dtype", "int3"), "int3"),
        (("--dtype", "fp8_e8m0fnu"), "fp8_e8m0fnu"),
        (("--dtype", "int8", "--granularity", "per_grouped_channel"), "--granularity"),
        (("--dtype", "int8", *PER_BLOCK, "--block-size", "0"), "--block-size"),
        (("--dtype", "int8", *PER_BLOCK, "--block-size", "32.0"), "--block-size"),
        (("--dtype", "int8", "--block-size", "32"), "--block-size needs --granularity per_block"),
        (("--dtype", "int8", "--qscheme", "affine"), "--qscheme"),
        (("--dtype", "int8", "--observer", "best"), "--observer"),
        (("--dtype", "fp8_e4m3fn", "--qscheme", "asymmetric"), "is not supported"),
        (("--dtype", "int8", "--scale-dtype", "fp8_e8m0fnu"), "--scale-dtype must be left out"),
        (("--dtype", "fp8_e5m2", "--scale-dtype", "int8"), "--scale-dtype"),
        (
            ("--dtype", "fp4_e2m1fn", "--granularity", "per_channel"),
            "fp4_e2m1fn requires --granularity",
        ),
        (("--dtype", "fp4_e2m1fn", *PER_BLOCK, "--block-size", "16"), "requires"),
        (("--dtype", "int8", "--threshold", "-1"), "--threshold"),
        (("--dtype", "int8", "--threads", "0"), "--threads"),
        (("--dtype", "int8", "--backend", "cuda"), "--backend"),
        (("--dtype", "int8", "--fast"), "--fast"),
        (("--dt", "int8"), "--dt"),
    ],
)
def test_bad_options_are_one_line_and_touch_nothing(source, output, options, words):
    shutil.copytree(source, output)
    before = contents(output)
    assert words in failed(quantize(source, output, "--force", *options))
    assert contents(output) == before


def test_no_command_is_an_error():
    assert "COMMAND" in failed(run())


def test_output_must_be_an_asset_in_a_folder_that_exists(tmp_path):
    assert ".aimodel" in failed(quantize(MODEL, tmp_path / "out", "--dtype", "int8"))
    output = tmp_path / "no" / "out.aimodel"
    assert str(output.parent) in failed(quantize(MODEL, output, "--dtype", "int8"))
    assert list(tmp_path.iterdir()) == []


def _flip(asset: Path) -> None:
    program = asset / "main.mlirb"
    damaged = bytearray(program.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    program.write_bytes(damaged)


def _truncate(asset: Path) -> None:
    os.truncate(asset / "main.mlirb", 1000)


DAMAGE = {
    "one bit of the program flipped": _flip,
    "program truncated": _truncate,
    "program empty": lambda asset: (asset / "main.mlirb").write_bytes(b""),
    "no bytecode": lambda asset: (
        (asset / "main.mlirb").write_bytes(b"hello"),
        (asset / "main.hash").unlink(),
    ),
    "no program": lambda asset: (asset / "main.mlirb").unlink(),
    "metadata damaged": lambda asset: (asset / "metadata.json").write_text("{"),
    "missing": shutil.rmtree,
    "a file": lambda asset: (shutil.rmtree(asset), asset.write_text("hello")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damaged_input_is_one_line(source, output, damage):
    DAMAGE[damage](source)
    assert str(source) in failed(quantize(source, output, "--dtype", "int8"))
    assert str(source) in failed(run("inspect", source))
    assert not output.exists()


def test_metadata_is_carried_over(source, output):
    def describe(metadata) -> None:
        metadata.author = "An author"
        metadata.license = "A licence"
        metadata.model_description = "A description"
        metadata.set_custom("key", [1, {"nested": 0.5}])

    AIModelAsset.load(source).update_metadata(describe)
    assert quantize(source, output, "--dtype", "int8").returncode == 0
    before, after = (
        json.loads((asset / "metadata.json").read_bytes()) for asset in (source, output)
    )
    # Core AI stamps these two when it saves.
    stamped = {"creationDate", "producer"}
    assert after.keys() == before.keys()
    assert before.keys() > stamped
    assert all(after[key] == before[key] for key in before.keys() - stamped)


def test_no_progress_bar_in_a_pipe(output):
    assert quantize(MODEL, output, "--dtype", "int8").stderr == ""


def test_progress_bar_on_a_terminal(output):
    assert "7/7" in shown(80, "quantize", MODEL, output, "--dtype", "int8")


def test_full_disk_is_one_line_and_touches_nothing(existing, monkeypatch, capfd):
    before = contents(existing)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 100_000))
    assert cli.main(["quantize", str(MODEL), str(existing), "--dtype", "int4", "--force"]) == 2
    assert "100,000 bytes are free" in capfd.readouterr().err
    assert contents(existing) == before


@pytest.mark.parametrize("command", ["quantize", "dequantize"])
def test_a_disk_must_have_room_for_all_of_an_asset(output, tmp_path, monkeypatch, command):
    """Not for its weights alone."""
    source, options = MODEL, ["--dtype", "int4"]
    if command == "dequantize":
        source, options = tmp_path / "quantized.aimodel", []
        assert quantize(MODEL, source, "--dtype", "int4").returncode == 0
    arguments = [command, str(source), str(output), *options]
    assert cli.main(arguments) == 0
    free = assets.asset_bytes(output) - 1000
    shutil.rmtree(output)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, free))
    assert cli.main(arguments) == 2
    assert not output.exists()


def test_failing_write_keeps_the_old_output(tmp_path):
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    output = shutil.copytree(MODEL, tmp_path / "out.aimodel")
    # Core AI ends the process when a write fails, so there is no more to ask for.
    result = quantize(MODEL, output, "--dtype", "int4", "--force", preexec_fn=limit)
    assert result.returncode != 0
    assert contents(output) == contents(MODEL)


def test_interrupted_run_cleans_up(existing, monkeypatch, capfd):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    before = contents(existing)
    monkeypatch.setattr(os, "rename", interrupt)
    assert cli.main(["quantize", str(MODEL), str(existing), "--dtype", "int4", "--force"]) == 130
    assert capfd.readouterr() == ("", "coreai-opt: error: interrupted\n")
    assert contents(existing) == before


def test_an_interrupt_does_not_stop_imports(existing, monkeypatch, capfd):
    """Core AI's modules end the process when they are interrupted half imported."""
    importing, steps = threading.Event(), []

    def import_slowly() -> None:
        steps.append(threading.current_thread())
        os.kill(os.getpid(), signal.SIGINT)
        importing.wait()
        steps.append("imported")

    monkeypatch.setattr(assets, "_import_core_ai", import_slowly)
    before = contents(existing)
    assert cli.main(["quantize", str(MODEL), str(existing), "--dtype", "int4", "--force"]) == 130
    assert capfd.readouterr() == ("", "coreai-opt: error: interrupted\n")
    assert contents(existing) == before
    (thread,) = steps
    assert not thread.daemon  # Python waits for it before it ends
    importing.set()
    thread.join()
    assert steps[1] == "imported"


def test_lack_of_memory_is_one_line(existing, monkeypatch, capfd):
    def fail(*arguments: object, **options: object) -> None:
        raise MemoryError

    before = contents(existing)
    monkeypatch.setattr(quantize_command, "quantize_weights", fail)
    assert cli.main(["quantize", str(MODEL), str(existing), "--dtype", "int4", "--force"]) == 2
    assert capfd.readouterr() == ("", "coreai-opt: error: MemoryError\n")
    assert contents(existing) == before


def test_failing_move_puts_the_old_output_back(existing, monkeypatch):
    before, rename = contents(existing), os.rename

    def fail_to_move_in(old: Path, new: Path) -> None:
        if new == existing and "old" not in Path(old).suffix:
            raise PermissionError("not now")
        rename(old, new)

    monkeypatch.setattr(os, "rename", fail_to_move_in)
    with pytest.raises(PermissionError), assets.replacing(existing, force=True) as path:
        path.mkdir()
    assert contents(existing) == before


def test_output_that_appears_meanwhile_is_kept(output):
    def write(path: Path) -> None:
        path.mkdir()
        shutil.copytree(MODEL, output)

    with pytest.raises(OSError, match="not empty"), assets.replacing(output, force=False) as path:
        write(path)
    assert contents(output) == contents(MODEL)


@pytest.mark.parametrize("arguments", [["--help"], ["quantize", "--help"], ["--version"]])
def test_help_does_not_wait_for_core_ai(arguments):
    code = (
        "import sys\nfrom coreai_opt.cli import main\n"
        f"try: main({arguments})\n"
        "except SystemExit as end: assert end.code == 0\n"
        "assert not {'coreai', 'rich', 'shtab'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)


def test_without_core_ai_the_error_says_what_to_install():
    code = (
        "import sys\nsys.modules['coreai'] = None\nfrom coreai_opt.cli import main\n"
        f"sys.exit(main(['inspect', {str(MODEL)!r}]))"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "pip install coreai-core" in failed(result)


@pytest.mark.parametrize("error", [AttributeError, RuntimeError, TypeError, ValueError])
def test_a_defect_keeps_its_traceback(output, monkeypatch, error):
    def fail(*arguments: object, **options: object) -> None:
        raise error("a defect")

    monkeypatch.setattr(quantize_command, "quantize_weights", fail)
    with pytest.raises(error, match="a defect"):
        cli.main(["quantize", str(MODEL), str(output), "--dtype", "int4"])
    assert not output.exists()
