"""``inspect`` and ``compare`` know look-up tables and sparse weights in every form."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coreai_opt import cli

from ..support.every_form import CASE_NAMES, CASES, SPARSE, TABLES, compress, shapes_of
from ..support.every_kind import every_kind, weights_of


@pytest.mark.parametrize(("what", "name", "dtype"), CASES, ids=CASE_NAMES)
def test_it_is_listed_and_its_outputs_are_compared(
    what: str, name: str, dtype: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def printed(command: str, *assets: Path) -> dict[str, Any]:
        assert cli.main([command, *map(str, assets), "--json"]) == 0
        found: dict[str, Any] = json.loads(capsys.readouterr().out)
        return found

    shapes = shapes_of(dtype)
    program = every_kind(weights_of(dtype, shapes), dtype)
    plain, compressed = tmp_path / "plain.aimodel", tmp_path / "compressed.aimodel"
    program.save_asset(plain)
    compress(program, what, name).save_asset(compressed)
    listed = printed("inspect", compressed)
    compared = printed("compare", plain, compressed)
    assert listed["weights"] == []
    assert [one["format"] for one in listed["quantized"]] == [listed_as(what, name, dtype)] * 6
    assert {tuple(one["shape"]) for one in listed["quantized"]} == set(shapes.values())
    assert {one["name"] for one in compared["outputs"]} == set(shapes)
    assert all(0 < one["sqnr_db"] < 80 for one in compared["outputs"])  # infinite for equal ones


def listed_as(what: str, name: str, dtype: Any) -> str:
    if what == "table":
        length = TABLES[name].get("cluster_dim", 1)
        return f"lut{TABLES[name].get('n_bits', 4)}" + (f"x{length}" if length > 1 else "")
    bits = SPARSE[name].get("palettize_nbits")
    values = SPARSE[name].get("quantize_dtype", np.dtype(dtype).name)
    return f"sparse lut{bits}" if bits else f"sparse {values}"
