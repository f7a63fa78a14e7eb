"""``coreai-opt --help``: what it teaches is true, at any width; and errors say what can be done."""

import argparse
import shlex
import shutil

import numpy as np
import pytest

from coreai_opt import DType
from coreai_opt.cli import messages
from coreai_opt.cli.command import make_parser
from coreai_opt.exceptions import Argument, ArgumentError, Value
from coreai_opt.program import assets
from coreai_opt.program.weights import find_weights

from ..support.command import MODEL, PER_BLOCK, failed, run


def parsers() -> dict[str, argparse.ArgumentParser]:
    """Return the parser of the command, as "", and those of its subcommands by name."""
    parser = make_parser()
    found = {"": parser}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= action.choices
    return found


def examples(text: str) -> list[list[str]]:
    """Return the commands in a help text, as a shell splits them, without redirections."""
    lines = text.replace("\\\n", " ").splitlines()
    commands = [shlex.split(line) for line in lines if line.startswith("    coreai-opt ")]
    return [words[: words.index(">")] if ">" in words else words for words in commands]


NAMES = list(parsers())
EXAMPLES = {name: examples(parser.format_help()) for name, parser in parsers().items()}
MXFP4 = ("quantize", "model.aimodel", "b.aimodel", "--dtype", "mxfp4")


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_of_the_command_and_parse(name):
    assert len(EXAMPLES[name]) >= 2
    assert not name or any(words[1] == name for words in EXAMPLES[name])
    for words in EXAMPLES[name]:
        assert vars(make_parser().parse_args(words[1:]))["command"] == words[1]


@pytest.mark.parametrize("name", NAMES)
def test_examples_run_one_after_the_other(name, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model.aimodel")
    random = np.random.default_rng(0).standard_normal((4, 1024))
    np.savez(tmp_path / "inputs.npz", x=random.astype(np.float16))
    for words in EXAMPLES[name]:
        result = run(*words[1:], cwd=tmp_path)
        assert result.returncode == 0, result


def test_every_subcommand_is_in_the_help_on_one_line():
    lines = parsers()[""].format_help().splitlines()
    assert all(
        any(line.split()[:1] == [name] and len(line.split()) > 2 for line in lines)
        for name in NAMES[1:]
    )


def test_options_of_quantize_are_in_groups():
    groups = {group.title: group._group_actions for group in parsers()["quantize"]._action_groups}
    assert list(groups)[2:] == [
        "format",
        "rules",
        "calibration",
        "budget",
        "output",
        "running",
        "messages",
    ]
    assert [action.dest for action in groups["options"]] == ["help"]
    assert all(groups.values())


@pytest.mark.parametrize("width", ["1", "40", "80", "200", "0", "wide"])
@pytest.mark.parametrize("name", NAMES)
def test_help_at_any_width(name, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", width)
    text = parsers()[name].format_help()
    assert examples(text) == EXAMPLES[name] != []
    if width in {"40", "80", "200"}:
        wrapped = text.split("\nexamples")[0].split("\n\n", 1)[1]  # without usage and examples
        assert max(map(len, wrapped.splitlines())) <= int(width)


@pytest.mark.parametrize("name", NAMES)
def test_laid_out_text_fits_80_columns(name, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert max(map(len, parsers()[name].format_help().splitlines())) <= 80


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND; see coreai-opt --help"),
        (["quantise"], "must be one of quantize, "),
        (["quantise"], "got 'quantise' (did you mean 'quantize'?); see coreai-opt --help"),
        (["completion", "bsh"], "got 'bsh' (did you mean 'bash'?)"),
        (["quantize", "a", "b", "--target", "gp"], "got 'gp' (did you mean 'gpu'?)"),
        (["quantize", "a", "b", "--backend", "nativ"], "got 'nativ' (did you mean 'native'?)"),
        (["quantize"], "IN.aimodel; see coreai-opt quantize --help"),
        (["quantize", "a", "b", "--dtyp", "int4"], "unknown option --dtyp (did you mean --dtype?)"),
        (["quantize", "--dtyp", "int4"], "unknown option --dtyp (did you mean --dtype?)"),
        (["--verson"], "unknown option --verson (did you mean --version?); see coreai-opt --help"),
        (["quantize", "a", "b", "--dtyp=int4"], "unknown option --dtyp=int4 (did you mean"),
        (
            ["quantize", "a", "b", "--xyzzy"],
            "unknown option --xyzzy; see coreai-opt quantize --help",
        ),
        (["inspect", "a", "b"], "one argument too many: b; see coreai-opt inspect --help"),
        (["quantize", "a", "b", "--min-sqnr", "nan"], "a number of dB such as 30; got 'nan'"),
        (["quantize", "a", "b", "--dtype", "int3"], "must be one of int2, "),
        (["quantize", "a", "b", "--dtype", "in4"], "got 'in4' (did you mean 'int4'?)"),
        (["quantize", "a", "b", "--target-size", "1 elephant"], "or a share of IN such as 50%"),
        (["compare", "a", "b", "--min-sqnr", "x"], "a number of dB such as 30; got 'x'"),
        (["inspect", "modle.aimodel"], "modle.aimodel does not exist, did you mean model.aimodel?"),
        (["inspect", "xyzzy.aimodel"], "xyzzy.aimodel does not exist"),
        (["quantize", "model.aimodel", "b", "--dtype", "int8"], "e.g. b.aimodel; got b"),
        (
            ["quantize", "model.aimodel", "c/b.aimodel", "--dtype", "int8"],
            "c to write b.aimodel to: make",
        ),
        (["quantize", "model.aimodel", "b.aimodel", "--rules", "c.toml"], "c.toml: No such file"),
        (
            [*MXFP4, "--granularity", "channel"],
            "fp4_e2m1fn requires --granularity per_block and --block-size 32",
        ),
        (
            [
                "quantize",
                "model.aimodel",
                "b.aimodel",
                "--dtype",
                "int4",
                "--scale-dtype",
                "fp8_e8m0fnu",
            ],
            "--scale-dtype must be left out for integer dtype int4",
        ),
        (
            [
                "quantize",
                "model.aimodel",
                "b.aimodel",
                "--dtype",
                "fp8_e5m2",
                "--qscheme",
                "asymmetric",
            ],
            "--qscheme must be symmetric",
        ),
    ],
)
def test_errors_say_what_can_be_done(arguments, words, tmp_path):
    shutil.copytree(MODEL, tmp_path / "model.aimodel")
    message = failed(run(*arguments, cwd=tmp_path))
    assert words in message
    assert not any(python in message for python in ("DType", "QScheme", "Granularity", "Errno"))


def test_what_the_api_says_of_rules_keeps_the_names_of_their_keys():
    parts = (Argument("scale_dtype"), " must be ", Value(None), " for ", Value(DType.INT4))
    error = ArgumentError("scale_dtype", *parts)
    assert messages.of_error(error) == "--scale-dtype must be left out for int4"
    of_rule = error.within("rule 2")
    assert str(of_rule) == "rule 2: scale_dtype must be None for <DType.INT4: 'int4'>"
    assert messages.of_error(of_rule) == "rule 2: scale_dtype must be None for int4"


def test_an_error_without_words_is_named():
    assert messages.of_error(MemoryError()) == "MemoryError"


@pytest.mark.parametrize(
    ("options", "advice"),
    [
        (("--dtype", "int4", *PER_BLOCK), "; --indivisible fit takes 16"),
        (("--dtype", "fp4_e2m1fn", *PER_BLOCK), "; MXFP4 has no other blocks, a rule can"),
    ],
)
def test_warnings_say_what_can_be_done(options, advice):
    result = run("quantize", MODEL, "--dry-run", "-v", *options)
    lines = [line for line in result.stderr.splitlines() if "16 input channels" in line]
    weights = find_weights(assets.load_asset(MODEL).program, 1024)
    assert len(lines) == sum(weight.shape[1] == 16 for weight in weights) > 0
    assert all(advice in line for line in lines)


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_version(option):
    result = run(option)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("coreai-opt-native ")


@pytest.mark.parametrize(
    ("text", "size"),
    [("25MB", 25_000_000), ("24 MiB", 24 << 20), ("1.5kb", 1500), ("7", 7), ("2gib", 2 << 30)],
)
def test_sizes(text, size):
    words = ["quantize", "a", "b", "--target-size", text]
    assert make_parser().parse_args(words).target_size == size
