"""Two programs on the same inputs, given or made up."""

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from coreai.authoring import (
    AIModelAsset,
    AIProgram,
    gather_nd,
    reshape,
)
from coreai.authoring.constant import constant

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.coreai_utils import compare_programs, quantize_weights
from coreai_opt.evaluation.output_comparison import compare_outputs
from coreai_opt.program.inputs import random_inputs
from coreai_opt.program.runtime import run_program
from coreai_opt.reference import WEIGHT_DTYPES

from ..support.programs import (
    F32,
    Signature,
    make_program,
    matmul_program,
    random_weight,
    run,
    u32,
)

WEIGHT = random_weight((64, 5))


def takes(inputs: Signature) -> AIProgram:
    """A program that takes ``inputs`` and returns them."""
    outputs = {f"{name}_out": spec for name, spec in inputs.items()}
    return make_program(lambda *values: values, inputs, outputs)


def embedding(rows: int = 7) -> AIProgram:
    """Rows of a table by number, the numbers taken through a reshape, and a mask."""

    def body(ids: Any, mask: Any) -> Any:
        table = constant(random_weight((rows, 4)))
        return gather_nd(table, reshape(ids, u32(50, 1))), mask

    return make_program(
        body,
        {"ids": ((1, 50), np.int32), "mask": ((1, 50), np.int32)},
        {"y": ((50, 4), F32), "mask_out": ((1, 50), np.int32)},
    )


def test_several_samples_are_compared_together() -> None:
    program = matmul_program(WEIGHT)
    quantized = quantize_weights(program, "int4", weight_num_threshold=0)
    x = random_weight((4, *random_inputs(program)["x"].shape), seed=5)
    (y,) = compare_programs(program, quantized, {"x": x})
    runs = [
        np.stack([run_program(asset, {"x": sample})["y"] for sample in x])
        for asset in (program, quantized)
    ]
    assert [y] == compare_outputs({"y": runs[0]}, {"y": runs[1]})
    assert y.shape == runs[0].shape == (4, *runs[0].shape[1:])
    assert y != compare_programs(program, quantized, {"x": x[0]})[0]


def test_figures_are_those_of_the_outputs() -> None:
    program = matmul_program(WEIGHT)
    quantized = quantize_weights(program, "int4", weight_num_threshold=0)
    inputs = {"x": random_weight((3, 64), seed=1)}
    found = compare_programs(program, quantized, inputs)
    assert found == compare_outputs(run(program, inputs), run(quantized, inputs))
    assert 10 < found[0].sqnr_db < 30


def test_assets_are_run_as_programs_are(tmp_path: Path) -> None:
    program = matmul_program(WEIGHT)
    quantized = quantize_weights(program, "int4", weight_num_threshold=0)
    program.save_asset(tmp_path / "a.aimodel")
    quantized.save_asset(tmp_path / "b.aimodel")
    assets = [AIModelAsset.load(tmp_path / f"{name}.aimodel") for name in "ab"]
    assert compare_programs(*assets) == compare_programs(program, quantized)


def test_seeds_make_the_inputs() -> None:
    program = matmul_program(WEIGHT)
    quantized = quantize_weights(program, "int4", weight_num_threshold=0)
    first, again, other = (compare_programs(program, quantized, seed=seed) for seed in (0, 0, 1))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (
            matmul_program(random_weight((64, 6))),
            "the outputs of the two programs differ: y: float32 [3, 5] and y: float32 [3, 6]",
        ),
        (
            matmul_program(random_weight((32, 5))),
            "the inputs of the two programs differ: x: float32 [3, 64] and x: float32 [3, 32]",
        ),
        (takes({"z": ((3, 64), F32)}), "the inputs of the two programs differ"),
    ],
)
def test_other_signatures_are_errors(other: AIProgram, words: str) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        compare_programs(matmul_program(WEIGHT), other)


def test_dtypes_may_differ() -> None:
    half = matmul_program(WEIGHT.astype(np.float16))
    (found,) = compare_programs(matmul_program(WEIGHT), half)
    assert 50 < found.sqnr_db < 100


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_random_floats_are_normal(dtype: Any) -> None:
    x = random_inputs(takes({"x": ((100, 100), dtype)}), seed=3)["x"]
    assert x.dtype == dtype
    assert abs(float(x.astype(F32).std()) - 1) < 0.03
    assert abs(float(x.astype(F32).mean())) < 0.03


def test_random_ids_are_rows_of_their_table_and_masks_hide_nothing() -> None:
    inputs = random_inputs(embedding())
    assert set(inputs["ids"].ravel().tolist()) == set(range(7))
    assert (inputs["mask"] == 1).all()
    assert {array.dtype for array in inputs.values()} == {np.dtype(np.int32)}
    program = embedding(50_000)
    assert random_inputs(program)["ids"].max() > 40_000
    compare_programs(program, program)


def test_random_booleans_are_true() -> None:
    assert random_inputs(takes({"x": ((4,), np.bool_)}))["x"].tolist() == [True] * 4


def test_inputs_are_loaded_by_name(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=np.arange(3), y=np.ones(2))
    loaded = load_arrays(tmp_path / "x.npz")
    assert {name: array.tolist() for name, array in loaded.items()} == {
        "x": [0, 1, 2],
        "y": [1.0, 1.0],
    }


def _npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(2))
    return file.getvalue()


def _pickles() -> bytes:
    file = io.BytesIO()
    np.savez(file, x=np.array([object()]))
    return file.getvalue()


def _damaged() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00")
    return file.getvalue()


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"PK\x03\x04", _npy(), _pickles(), _damaged()], ids=range(6)
)
def test_what_is_no_npz_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=re.escape(f"{path} is no .npz file of arrays")):
        load_arrays(path)


def test_bfloat16_programs_compare() -> None:
    program = matmul_program(WEIGHT.astype(ml_dtypes.bfloat16))
    (found,) = compare_programs(program, program)
    assert found.sqnr_db == np.inf
