"""Real networks, each with an input and the output that the float network gives for it."""

import functools
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coreai.authoring import AIModelAsset, AIProgram

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import CompressionGranularity, quantize_weights
from coreai_opt.program import ir
from coreai_opt.program.channel_axes import weight_blocks
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.reference import FORMATS as REFERENCE_FORMATS

from ..support.programs import Array, all_stored, operand_constants, run

ASSETS = Path(__file__).parents[3] / "shared" / "assets"

pytestmark = pytest.mark.skipif(
    not ASSETS.is_dir(), reason=f"the folder of converted networks, {ASSETS}, is not there"
)

WEIGHTS = {"crepe_tiny_f16": 7, "crepe_tiny_bf16": 7, "ppocr_det_f16": 46}
"""How many weights of more than 1024 elements each network has."""

FORMATS: dict[str, dict[str, Any]] = {
    "int8": {"dtype": "int8"},
    "uint8": {"dtype": "uint8", "qscheme": "asymmetric"},
    "int4": {"dtype": "int4", "granularity": "per_block"},
    "uint4": {"dtype": "uint4", "qscheme": "asymmetric"},
    "int2": {"dtype": "int2", "granularity": "per_block"},
    "uint2": {"dtype": "uint2", "qscheme": "asymmetric"},
    "fp8_e4m3fn": {"dtype": "fp8_e4m3fn"},
    "fp8_e4m3fn, E8M0": {"dtype": "fp8_e4m3fn", "scale_dtype": "fp8_e8m0fnu"},
    "fp8_e5m2": {"dtype": "fp8_e5m2"},
    "mxfp4": {"dtype": "fp4_e2m1fn", "granularity": "per_block"},
}


LEAST_SQNR = {"crepe": {8: 36, 4: 18, 2: -5}, "ppocr": {8: 11, 4: 11, 2: -5}}
"""In dB, by bits of the codes: measured, less what differs from format to format.

Two bits per weight, found from the minimum and maximum, are too few for these networks.
"""


@functools.cache
def load(name: str) -> AIProgram:
    return AIModelAsset.load(ASSETS / f"{name}.aimodel").program


@functools.cache
def examples(name: str) -> tuple[dict[str, Array], dict[str, Array]]:
    """The reference input, and the output that came with it."""
    dtypes = json.loads((ASSETS / f"{name}.json").read_text())["inputs"]
    with np.load(ASSETS / f"{name}.npz") as arrays:
        inputs = {key: arrays[f"in_{key}"].astype(dtype) for key, dtype in dtypes.items()}
        return inputs, {key[4:]: arrays[key] for key in arrays.files if key.startswith("out_")}


def sqnr(exact: Array, got: Array) -> float:
    exact, got = exact.astype(np.float64), got.astype(np.float64)
    return float(10 * np.log10(np.sum(exact**2) / np.sum((exact - got) ** 2)))


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of(name: str) -> None:
    weights = find_weights(load(name), 1024)
    assert len(weights) == WEIGHTS[name]
    assert all("conv" in weight.consumers or "matmul" in weight.consumers for weight in weights)
    assert len({weight.name for weight in weights}) == len(weights)


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", WEIGHTS)
def test_both_backends_store_what_quantize_array_gives(
    name: str, format: str, caplog: pytest.LogCaptureFixture
) -> None:
    spec = dict(FORMATS[format])
    native, twice, reference = (
        quantize_weights(load(name), **spec, backend=backend)
        for backend in ("native", "native", "reference")
    )
    assert all_stored(native) == all_stored(twice) == all_stored(reference)
    granularity = CompressionGranularity(spec.pop("granularity", "per_channel"))
    decoders = [quantized.op for quantized in find_quantized(native)]
    skipped = [r for r in caplog.records if r.levelno == logging.WARNING]
    assert len(decoders) + len(skipped) // 3 == WEIGHTS[name]
    for weight in find_weights(load(name), 1024):
        try:
            sizes = weight_blocks(weight, granularity, 32).sizes
            array = ir.read_constant(weight.op)
            expected = quantize_array(array, **spec, block_sizes=sizes)
        except ValueError:
            continue  # block size 32 does not divide it: it was skipped as well
        op = decoders.pop(0)
        data, scale, _, _ = operand_constants(op)
        assert (data[0], data[2]) == (weight.shape, expected.packed.tobytes())
        assert (scale[0], scale[2]) == (expected.scale.shape, expected.scale.tobytes())
    assert decoders == []


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", WEIGHTS)
def test_quantized_networks_run(name: str, format: str) -> None:
    quantized = quantize_weights(load(name), **FORMATS[format])
    assert find_quantized(quantized)
    bits = REFERENCE_FORMATS[FORMATS[format]["dtype"]].bits
    inputs, expected = examples(name)
    got = run(quantized, inputs)
    for key, exact in expected.items():
        assert np.isfinite(got[key].astype(np.float32)).all()
        assert sqnr(exact, got[key]) > LEAST_SQNR[name.split("_", maxsplit=1)[0]][bits]
