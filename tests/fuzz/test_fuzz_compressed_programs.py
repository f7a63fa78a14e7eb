"""``palettize_weights`` and ``sparsify_weights`` with settings and weights that chance chooses.

Whatever is asked for: a weight is either left, with a warning that says why, or it is stored in the
bytes that its record tells, both backends agree on every byte, and what is read back is what
``dequantize_weights`` writes.
"""

import logging
import random
from typing import Any

import numpy as np
import pytest

from coreai_opt.coreai_utils import dequantize_weights, palettize_weights, sparsify_weights
from coreai_opt.program.ir import read_constant
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.reference import WEIGHT_DTYPES

from ..support.corpus import Array
from ..support.programs import convolution, make_program, matmul_program

BITS = (1, 2, 3, 4, 6, 8)
FORMATS = ("int8", "uint8", "fp8_e4m3fn", "fp8_e5m2")


def random_weight(chance: random.Random) -> Array:
    """Return a weight of two or four axes, of magnitudes and with zeros that chance chooses."""
    lengths = [chance.choice([1, 2, 5, 8, 12, 32]) for _ in range(2)]
    shape = (*lengths, *chance.choice([(), (1, 1), (2, 3)]))
    generator = np.random.default_rng(chance.getrandbits(32))
    weight = generator.standard_normal(shape) * 10 ** chance.uniform(-6, 2)
    weight[generator.random(shape) < chance.choice([0, 0.3, 1])] = 0
    return weight.astype(chance.choice(WEIGHT_DTYPES))


def program_of(weight: Array) -> Any:
    if weight.ndim == 2:
        return matmul_program(weight)
    out, inputs, *kernel = weight.shape
    shapes = {"x": ((1, inputs, 4, 4), weight.dtype)}
    result = {"y": ((1, out, 5 - kernel[0], 5 - kernel[1]), weight.dtype)}
    return make_program(lambda x: convolution(x, weight), shapes, result)


def random_tables(chance: random.Random) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "lut_dtype": chance.choice([None, None, *FORMATS]),
        "n_bits": chance.choice(BITS),
        "granularity": chance.choice(["per_tensor", "per_channel", "per_grouped_channel"]),
        "group_size": chance.choice([1, 2, 4, 5]),
    }
    scales = chance.choice(["", "channels", "blocks", "vectors"])
    if scales == "channels":
        arguments["enable_per_channel_scale"] = True
    elif scales == "blocks":
        arguments["scale_block_size"] = chance.choice([1, 2, 4, 32])
    elif scales == "vectors":
        arguments["cluster_dim"] = chance.choice([2, 4, 5])
    if scales in {"channels", "blocks"} and arguments["lut_dtype"] is None:
        arguments["observer"] = chance.choice(["minmax", "mse"])
    return arguments


def random_sparsity(chance: random.Random) -> dict[str, Any]:
    of = chance.choice([1, 2, 3, 4])
    arguments: dict[str, Any] = chance.choice(
        [
            {"target_sparsity": chance.choice([0, 0.1, 0.5, 0.9, 1])},
            {"target_sparsity": None, "n_m_ratio": (chance.randint(0, of), of)},
            {"block_size": chance.choice([2, 3, 4])},
        ]
    )
    stored = chance.choice(["", "quantize_dtype", "palettize_nbits"])
    if stored:
        arguments[stored] = chance.choice(FORMATS if stored == "quantize_dtype" else BITS)
    return arguments


@pytest.mark.parametrize("compress", [palettize_weights, sparsify_weights])
@pytest.mark.parametrize("seed", range(60))
def test_any_settings(seed: int, compress: Any, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(seed)
    weight = random_weight(chance)
    choose = random_tables if compress is palettize_weights else random_sparsity
    arguments, program = choose(chance), program_of(weight)
    told = f"{weight.shape} {weight.dtype} {arguments}"
    found = len(find_weights(program, 0))
    records: list[Any] = []
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        compressed = compress(
            program,
            weight_num_threshold=0,
            backend="validate",
            num_threads=2,
            progress=records.append,
            **arguments,
        )
    assert len(records) == found, told
    stored = find_quantized(compressed)
    if not stored:
        assert [record.status for record in records] == ["skipped"] * found, told
        assert all(record.reason in caplog.text for record in records), told
        return
    (one,), (record,) = stored, records
    array = one.form.read(one.op)
    assert one.shape == array.shape == weight.shape, told
    assert record.nbytes_after == one.nbytes == array.nbytes, told
    assert (record.format_after, record.scale_dtype) == one.form.label(array), told
    assert (one.format, one.scale_dtype) == one.form.label(array), told
    (back,) = find_weights(dequantize_weights(compressed), 0)
    assert read_constant(back.op).tobytes() == array.dequantize().tobytes(), told
