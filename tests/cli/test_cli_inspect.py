"""``coreai-opt inspect`` on narrow terminals, and as JSON."""

import json
from pathlib import Path

import pytest

from coreai_opt.program.assets import load_asset
from coreai_opt.program.ir import AIProgram
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.command import MODEL, PER_BLOCK, quantize, run
from ..support.terminal import shown


@pytest.fixture(scope="module")
def quantized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An asset with quantized weights and others."""
    output = tmp_path_factory.mktemp("inspect") / "out.aimodel"
    assert quantize(MODEL, output, "--dtype", "int4", *PER_BLOCK).returncode == 0
    return output


def program_of(asset: Path) -> AIProgram:
    return load_asset(asset).program


def lines_with(name: str, text: str) -> list[str]:
    return [line for line in text.splitlines() if name in line.split()]


@pytest.mark.parametrize("columns", [200, 80, 60, 20])
def test_each_weight_is_one_line_with_its_whole_name(quantized: Path, columns: int) -> None:
    program = program_of(quantized)
    text = shown(columns, "inspect", quantized)
    for weight in (*find_weights(program, 1024), *find_quantized(program)):
        (line,) = lines_with(weight.name, text)
        assert f"{weight.nbytes:,}" in line
        assert len(line) <= max(columns, 60), "a terminal wraps it"


def test_a_narrow_terminal_drops_what_repeats_the_name_first() -> None:
    program = program_of(MODEL)
    name = find_weights(program, 1024)[-1].name
    found = {}
    for columns in (200, 100, 85, 60):
        (line,) = lines_with(name, shown(columns, "inspect", MODEL))
        found[columns] = ["op_id" in line, "(360, 256)" in line, "coreai." in line]
    assert found[200] == [True, True, True]
    assert found[60] == [False, False, False]
    for parts in found.values():
        assert parts == sorted(parts)  # no location without a shape, no shape without a consumer


def test_a_pipe_has_all_columns(quantized: Path) -> None:
    text = run("inspect", quantized).stdout
    assert "location" in text
    assert "scheme" in text


def test_inspect_as_json_says_all_of_the_tables(quantized: Path) -> None:
    program = program_of(quantized)
    content = json.loads(run("inspect", quantized, "--json").stdout)
    assert content["schema_version"] == 1
    files = sum(file.stat().st_size for file in quantized.iterdir())
    assert (content["asset"], content["nbytes"]) == ("out.aimodel", files)
    assert content["metadata"] == json.loads((quantized / "metadata.json").read_text())
    assert [w["name"] for w in content["weights"]] == [w.name for w in find_weights(program, 1024)]
    for said, weight in zip(content["quantized"], find_quantized(program), strict=True):
        assert said["name"] == weight.name
        assert said["format"] == "int4"
        assert said["block_sizes"] == list(weight.block_sizes)
    (function,) = content["functions"]
    assert [port["name"] for port in function["inputs"]] == ["x"]
    assert [port["name"] for port in function["outputs"]] == ["probs"]
    parts = ("weights", "quantized", "others")
    total = sum(constant["nbytes"] for part in parts for constant in content[part])
    assert content["constants"]["nbytes"] == total


def test_totals_add_up_to_the_file() -> None:
    lines = run("inspect", MODEL).stdout.splitlines()
    rows = lines[lines.index("All together") + 3 :][:4]
    numbers = [int(row.split()[-1].replace(",", "")) for row in rows]
    assert sum(numbers) == sum(file.stat().st_size for file in MODEL.iterdir())
