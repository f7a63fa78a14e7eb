"""``coreai-opt completion``: shells read the scripts, and offer what can be typed."""

import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from coreai_opt.cli.completion import SHELLS
from coreai_opt.reference import FORMATS

from ..support.command import failed, run

COMMANDS = {
    "quantize",
    "palettize",
    "sparsify",
    "dequantize",
    "inspect",
    "compare",
    "calibrate",
    "completion",
    "presets",
}
CASES = {
    "coreai-opt ": COMMANDS,
    "coreai-opt q": {"quantize"},
    "coreai-opt quantize --d": {"--dtype", "--dry-run"},
    "coreai-opt quantize in.aimodel out.aimodel --dtype ": set(FORMATS),
    "coreai-opt quantize in.aimodel --dtype fp8": {"fp8_e4m3fn", "fp8_e5m2"},
    "coreai-opt quantize --dtype int8 --observer ": {"minmax", "mse"},
    "coreai-opt inspect mod": {"model.aimodel"},
    "coreai-opt quantize model.aimodel --rules rul": {"rules.toml"},
    "coreai-opt compare model.aimodel model.aimodel --inputs in": {"inputs.npz"},
    "coreai-opt completion ": set(SHELLS),
}

BASH = """\
source "$1"
mapfile -t COMP_WORDS < <(printf '%s\\n' "${@:2}")
COMP_CWORD=$(($# - 2))
function=$(complete -p coreai-opt | sed 's/.*-F \\([^ ]*\\).*/\\1/')
compopt() { :; }  # it can be called while a person completes only
"$function"
printf '%s\\n' "${COMPREPLY[@]}"
"""

# A shell of its own, at a terminal of its own, that has a Tab typed.
ZSH = """\
zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell "PS1=; fpath=($1 \\$fpath); autoload -Uz compinit; compinit -u -D; echo sta''rted"
zpty -r shell shown '*started*'
zpty -w -n shell "$2"$'\\t'
zpty -r shell shown "*$3*"
"""


@pytest.fixture
def script(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The script of a shell, in a folder of its own, beside one with files to complete."""
    shell = request.param
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    (tmp_path / "scripts").mkdir()
    (tmp_path / "files" / "model.aimodel").mkdir(parents=True)
    for name in ("rules.toml", "rules.txt", "inputs.npz", "inputs.txt"):
        (tmp_path / "files" / name).touch()
    result = run("completion", shell)
    assert (result.returncode, result.stderr) == (0, "")
    (path := tmp_path / "scripts" / "_coreai-opt").write_text(result.stdout)
    return path


def ask(script: Path, *command: object) -> str:
    folder = script.parents[1] / "files"
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done
    return done.stdout


def bash(script: Path, line: str) -> set[str]:
    words = [*shlex.split(line), ""] if line.endswith(" ") else shlex.split(line)
    return set(ask(script, "bash", "-c", BASH, "bash", script, *words).split())


def fish(script: Path, line: str) -> set[str]:
    code = f"source {shlex.quote(str(script))}; complete -C {shlex.quote(line)}"
    answers = ask(script, "fish", "--no-config", "-c", code).splitlines()
    return {answer.split("\t")[0].rstrip("/") for answer in answers}


@pytest.mark.parametrize("line", CASES)
@pytest.mark.parametrize(
    ("script", "complete"),
    [("bash", bash), ("fish", fish)],
    indirect=["script"],
    ids=["bash", "fish"],
)
def test_offers(script: Path, complete: Callable[[Path, str], set[str]], line: str) -> None:
    assert complete(script, line) == CASES[line]


@pytest.mark.parametrize("line", [line for line, offers in CASES.items() if len(offers) == 1])
@pytest.mark.parametrize("script", ["zsh"], indirect=True)
def test_zsh_completes(script: Path, line: str) -> None:
    (offer,) = CASES[line]
    completed = " ".join([*line.split(" ")[:-1], offer])
    ask(script, "zsh", "-f", "-c", ZSH, "zsh", script.parent, line, completed)


def test_other_shells_are_refused():
    assert "one of bash, zsh, fish" in failed(run("completion", "tcsh"))
