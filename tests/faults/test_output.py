"""What is written: killed, interrupted, on a full or read-only disk, two at a time.

Whatever happens, one whole asset is there: the old one or the new one. The one exception is a
process that is killed between the two renames of ``--force``: then both are, under hidden names.
The same holds of reports and plans, which are files and need one rename. Where a report cannot be
written, the asset is not either.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest

from coreai_opt.program import assets
from coreai_opt.program.weights import find_quantized
from coreai_opt.settings.rules_file import load_rules

from ..support.command import COMMAND, MODEL, contents
from ..support.interrupts import interrupted_at_call


def quantize(output: Path, *options: str) -> list[str]:
    return [str(COMMAND), "quantize", str(MODEL), str(output), "--dtype", "int8", *options]


def is_whole(asset: Path) -> bool:
    """Whether an asset is the model or the quantized model, all of it."""
    if contents(asset) == contents(MODEL):
        return True
    quantized = find_quantized(assets.load_asset(asset).program)  # its digest is checked there
    return [weight.format for weight in quantized] == ["int8"] * 7


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """An asset to replace."""
    return shutil.copytree(MODEL, tmp_path / "out.aimodel")


# Killed and interrupted.


def moments(output: Path, count: int) -> list[float]:
    """Seconds, from the start to the end of a run."""
    started = time.monotonic()
    subprocess.run(quantize(output, "--force"), check=True, capture_output=True)
    return [(time.monotonic() - started) * i / count for i in range(count + 1)]


def stop_after(delay: float, how: signal.Signals, output: Path) -> tuple[int, str]:
    """Exit code and messages of a run that gets a signal, if it is not over by then."""
    command = quantize(output, "--force")
    with subprocess.Popen(command, text=True, stdout=-1, stderr=-1) as process:
        try:
            process.wait(delay)
        except subprocess.TimeoutExpired:
            process.send_signal(how)
        message = process.communicate()[1]
    return process.returncode, message


def test_killed_at_any_moment(output: Path, long: bool) -> None:
    killed = 0
    for delay in moments(output, 200 if long else 10):
        killed += stop_after(delay, signal.SIGKILL, output)[0] == -signal.SIGKILL
        assert is_whole(output)
        left = set(output.parent.iterdir()) - {output}
        assert all(folder.name.startswith(".out-") for folder in left), left
        assert len(left) <= 1
        for folder in left:
            shutil.rmtree(folder)
    assert killed > 5


def test_interrupted_at_any_moment(output: Path, long: bool) -> None:
    """One line and exit code 130; while Python starts, its own traceback and the signal or 1."""
    interrupted = 0
    for delay in moments(output, 200 if long else 10):
        code, message = stop_after(delay, signal.SIGINT, output)
        if code == 1:
            assert message.startswith("Fatal Python error: init_")
        else:
            assert code in {0, 130, -signal.SIGINT}
        if code == 130:
            assert message == "coreai-opt: error: interrupted\n"
            interrupted += 1
        assert is_whole(output)
        assert list(output.parent.iterdir()) == [output]
    assert interrupted  # how many depends on what else the machine does


# Python's own functions leave files to be closed with the objects when they are interrupted.
_LEFT_OPEN = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


@_LEFT_OPEN
def test_one_asset_and_nothing_beside_it_wherever_replacing_is_interrupted(output: Path) -> None:
    def replace() -> None:
        with assets.replacing(output, force=True) as new:
            new.mkdir()
            (new / "main.mlirb").write_bytes(b"new")

    old = contents(output)
    for number in count(1):
        interrupted = interrupted_at_call(number, replace)
        assert list(output.parent.iterdir()) == [output]
        assert contents(output) in (old, {"main.mlirb": b"new"})
        if not interrupted:
            break
    assert number > 100


@_LEFT_OPEN
def test_one_file_and_nothing_beside_it_wherever_its_writing_is_interrupted(tmp_path: Path) -> None:
    file = tmp_path / "plan.toml"
    file.write_text("old")
    for number in count(1):
        interrupted = interrupted_at_call(number, lambda: assets.write_text(file, "new"))
        assert list(tmp_path.iterdir()) == [file]
        assert file.read_text() in {"old", "new"}
        if not interrupted:
            break
    assert number > 50


OLD = "what was there before"


@pytest.fixture
def outputs(output: Path) -> tuple[Path, Path, Path]:
    """An asset, a report and a plan to replace."""
    report, plan = output.with_name("report.html"), output.with_name("plan.toml")
    for file in (report, plan):
        file.write_text(OLD)
    return output, report, plan


def with_report_and_plan(output: Path, report: Path, plan: Path) -> list[str]:
    goal = ("--target-size", "400KB", "--plan-out", str(plan), "--report", str(report))
    return [str(COMMAND), "quantize", str(MODEL), str(output), "--force", *goal]


def test_reports_and_plans_are_whole_at_any_moment(
    outputs: tuple[Path, Path, Path], long: bool
) -> None:
    output, report, plan = outputs
    command, started = with_report_and_plan(*outputs), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds, killed = time.monotonic() - started, 0
    asset, chosen, page = assets.load_asset(output).program, plan.read_text(), report.read_text()
    new, count = [w.format for w in find_quantized(asset)], 200 if long else 10
    for moment in range(count + 1):
        shutil.rmtree(output)
        shutil.copytree(MODEL, output)
        for file in (report, plan):
            file.write_text(OLD)
        with subprocess.Popen(command, stdout=-3, stderr=-3) as process:
            try:
                process.wait(seconds * moment / count)
            except subprocess.TimeoutExpired:
                process.kill()
        killed += process.returncode == -signal.SIGKILL
        found = [w.format for w in find_quantized(assets.load_asset(output).program)]
        assert found in ([], new)
        assert plan.read_text() in (OLD, chosen)
        # Reports say how long each weight took.
        assert report.read_text() == OLD or report.read_text().endswith(page[-20:])
        left = set(output.parent.iterdir()) - {*outputs}
        assert all(folder.name.startswith(".") for folder in left), left
        assert len(left) <= 2
        for folder in left:
            shutil.rmtree(folder)
    assert killed > 5


# Ends the process before or after its n-th rename, and without Core AI, which takes half a second.
KILLED_AT_A_RENAME = """
import os, shutil, signal, sys
from pathlib import Path
from coreai_opt.program.assets import replacing

def killing(rename, moments):
    def rename_or_die(*paths):
        for step in (lambda: None, lambda: rename(*paths)):
            step()
            if next(moments) == int(sys.argv[3]):
                os.kill(os.getpid(), signal.SIGKILL)
    return rename_or_die

os.rename = killing(os.rename, iter(range(100)))
with replacing(Path(sys.argv[2]), force=True) as path:
    shutil.copytree(sys.argv[1], path)
"""


def test_killed_before_and_after_every_rename(output: Path) -> None:
    new = shutil.copytree(MODEL, output.with_name("new"))
    (new / "metadata.json").write_text("{}")
    found = []
    for moment in range(7):
        command = [sys.executable, "-c", KILLED_AT_A_RENAME, new, output, str(moment)]
        done = subprocess.run(command, check=False)
        assert done.returncode == (-signal.SIGKILL if moment < 6 else 0)
        whole = [p for p in output.parent.rglob("*") if p != new and (p / "main.hash").is_file()]
        assert all(contents(path) in (contents(MODEL), contents(new)) for path in whole)
        found.append(contents(output) == contents(new) if output.exists() else None)
        if not output.exists():
            assert {bytes(contents(p)["metadata.json"]) for p in whole} >= {
                contents(MODEL)["metadata.json"],
                b"{}",
            }
        for path in set(output.parent.iterdir()) - {new}:
            shutil.rmtree(path)
        shutil.copytree(MODEL, output)
    # Before and after each of: old aside, new in, old into the folder to empty.
    assert found == [False, None, None, True, True, True, True]


# Two at a time.

FILES = ("main.mlirb", "main.hash", "metadata.json")

WRITER = f"""
import sys
from pathlib import Path
from coreai_opt.program.assets import replacing

FILES = {FILES}

path, name, times = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
for _ in range(times):
    with replacing(path, force=True) as new:
        new.mkdir()
        for file in FILES:
            (new / file).write_text(name)
"""


def test_writers_of_one_output_take_turns(tmp_path: Path, long: bool) -> None:
    """With ``force`` each replaces what the one before wrote; none fails, nothing is left over."""
    output = tmp_path / "out.aimodel"
    command = [sys.executable, "-c", WRITER, str(output)]
    times = 5000 if long else 300
    writers = [subprocess.Popen([*command, name, str(times)]) for name in "xyz"]
    assert [writer.wait() for writer in writers] == [0, 0, 0]
    assert list(tmp_path.iterdir()) == [output]
    assert contents(output) in [dict.fromkeys(FILES, name.encode()) for name in "xyz"]


@pytest.mark.parametrize("force", [True, False])
def test_two_commands_at_once(tmp_path: Path, force: bool) -> None:
    """Without ``--force`` one of them is refused."""
    output = tmp_path / "out.aimodel"
    command = quantize(output, *["--force"] * force)
    runs = [subprocess.Popen(command, text=True, stdout=-1, stderr=-1) for _ in range(2)]
    messages = [run.communicate()[1] for run in runs]
    assert sorted(run.returncode for run in runs) == ([0, 0] if force else [0, 2])
    assert sorted(message.count("coreai-opt: error: ") for message in messages) == (
        [0, 0] if force else [0, 1]
    )
    assert list(tmp_path.iterdir()) == [output]
    assert is_whole(output)


def test_two_commands_at_once_with_one_report_and_plan(outputs: tuple[Path, Path, Path]) -> None:
    output, report, plan = outputs
    command = with_report_and_plan(*outputs)
    runs = [subprocess.Popen(command, text=True, stdout=-3, stderr=-1) for _ in range(2)]
    assert [run.communicate()[1] for run in runs] == ["", ""]
    assert [run.returncode for run in runs] == [0, 0]
    assert set(output.parent.iterdir()) == {*outputs}
    assert report.read_text().endswith("</html>\n")
    rules = {rule.name: str(rule.dtype) for rule in load_rules(plan) if not rule.keep}
    quantized = find_quantized(assets.load_asset(output).program)
    assert {weight.name: weight.format for weight in quantized} == rules


# Disks. A user namespace may mount one of its own, which ends with it.

IN_A_DISK_OF_ITS_OWN = """
set -e
mount -t tmpfs -o size=4m tmpfs "$DISK"
cp -r "$IN" "$DISK/out.aimodel"
cd "$DISK"
"""
NAMESPACE = ("unshare", "--user", "--map-root-user", "--mount", "sh", "-c")


def run_on_disk(folder: Path, script: str, **more: Path) -> subprocess.CompletedProcess[str]:
    """Run a script in a folder that is a disk of 4 MB, with an asset to replace on it."""
    paths = {"DISK": folder, "COMMAND": COMMAND, "IN": MODEL, "PYTHON": sys.executable, **more}
    return subprocess.run(
        [*NAMESPACE, IN_A_DISK_OF_ITS_OWN + script],
        env=os.environ | {name: str(path) for name, path in paths.items()},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    if shutil.which("unshare") is None:
        pytest.skip("unshare, which mounts a disk without being root, is not there")
    probe = run_on_disk(tmp_path, "true")
    if probe.returncode != 0:
        pytest.skip(f"no disk can be mounted in a user namespace here: {probe.stderr.strip()}")
    return tmp_path


QUANTIZE = 'set +e; "$COMMAND" quantize "$IN" out.aimodel --dtype int8 --force >&2; code=$?\n'
UNCHANGED = """diff -r "$IN" out.aimodel && [ "$(ls -A)" = out.aimodel ] && echo unchanged
exit $code"""


def test_read_only_disk(disk: Path) -> None:
    run = run_on_disk(disk, f'mount -o remount,ro "$DISK"\n{QUANTIZE}{UNCHANGED}')
    assert (run.returncode, run.stdout) == (2, "unchanged\n"), run
    assert run.stderr.startswith("coreai-opt: error: .out-")
    assert run.stderr.endswith(": Read-only file system\n")
    assert run.stderr.count("\n") == 1


FILL = "head -c $(($(stat -fc '%%a * %%S' .) - %d)) /dev/zero >.fill\n"


@pytest.mark.parametrize("free", [0, 100_000, 400_000])
def test_full_disk(disk: Path, free: int) -> None:
    run = run_on_disk(disk, f"{FILL % free}{QUANTIZE}rm .fill\n{UNCHANGED}")
    assert (run.returncode, run.stdout) == (2, "unchanged\n"), run
    assert " bytes are free" in run.stderr
    assert run.stderr.count("\n") == 1


REPORT = """set +e
"$COMMAND" quantize "$IN" "$OUT" --dtype int8 --force --report report.%s >&2; code=$?
rm -f .fill
cat report.*
exit $code"""


@pytest.mark.parametrize("suffix", ["html", "md", "json"])
@pytest.mark.parametrize(
    ("trouble", "words"),
    [(FILL % 0, "No space left on device"), ('mount -o remount,ro "$DISK"\n', "Read-only")],
    ids=["full", "read-only"],
)
def test_a_report_that_cannot_be_written(
    disk: Path, output: Path, trouble: str, words: str, suffix: str
) -> None:
    """The asset, which is on another disk, is not replaced then."""
    (folder := disk / "disk").mkdir()
    prepare = f"echo old >report.{suffix}\n{trouble}"
    run = run_on_disk(folder, prepare + REPORT % suffix, OUT=output)
    assert (run.returncode, run.stdout) == (2, "old\n"), run
    assert run.stderr.startswith("coreai-opt: error: ")
    assert words in run.stderr
    assert run.stderr.count("\n") == 1
    assert contents(output) == contents(MODEL)
    assert set(output.parent.iterdir()) == {output, folder}


PLAN = QUANTIZE.replace("--dtype int8", "--target-size 400KB --plan-out plan.toml")


def test_a_plan_that_cannot_be_written(disk: Path) -> None:
    run = run_on_disk(disk, f"{FILL % 0}{PLAN}rm .fill\n{UNCHANGED}")
    assert (run.returncode, run.stdout) == (2, "unchanged\n"), run
    assert "No space left on device" in run.stderr
    assert run.stderr.count("\n") == 1


@pytest.mark.parametrize("option", ["--report", "--plan-out"])
def test_a_folder_in_the_place_of_a_file(output: Path, option: str) -> None:
    goal = ("--target-size", "400KB")
    (folder := output.with_name({"--report": "x.md", "--plan-out": "x.toml"}[option])).mkdir()
    command = [COMMAND, "quantize", MODEL, output, "--force", *goal, option, folder]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    message = f"coreai-opt: error: {option} must be a file; {folder} is a folder\n"
    assert (run.returncode, run.stdout, run.stderr) == (2, "", message)
    assert contents(output) == contents(MODEL)


@pytest.mark.parametrize("free", [0, 100_000, 400_000])
def test_disk_that_fills_up_meanwhile(disk: Path, free: int) -> None:
    """Core AI ends the process when it cannot write, which nothing here can prevent."""
    unchecked = """"$PYTHON" -c 'import sys
from unittest import mock
from coreai_opt import cli
from coreai_opt.cli import writing
mock.patch.object(writing, "check_space").start()
sys.exit(cli.main(sys.argv[1:]))' """
    script = QUANTIZE.replace('"$COMMAND"', unchecked) + "rm -rf .fill .out-*\n" + UNCHANGED
    run = run_on_disk(disk, FILL % free + script)
    assert run.returncode != 0
    assert run.stdout == "unchanged\n"
