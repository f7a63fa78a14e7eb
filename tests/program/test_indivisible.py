"""Weights whose input channels the block size does not divide: skipped, or blocks that fit."""

import logging
from pathlib import Path
from typing import Any

import pytest
from coreai.authoring import AIProgram

from coreai_opt.assets import load_asset
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program.candidates import find_quantized
from coreai_opt.records import WeightRecord

from .programs import matmul_program, random_weight, weight_values

CREPE = Path(__file__).parents[2] / "examples" / "crepe_tiny_f16.aimodel"


def record_of(program: AIProgram, dtype: str = "int4", **options: Any) -> WeightRecord:
    records: list[WeightRecord] = []
    quantize_weights(
        program,
        dtype,
        granularity="per_block",
        weight_num_threshold=0,
        progress=records.append,
        **options,
    )
    (record,) = records
    return record


@pytest.mark.parametrize(
    ("channels", "block_size", "granularity", "fitting"),
    [
        (64, 32, "per_block", 32),
        (48, 32, "per_block", 24),
        (42, 32, "per_block", 21),
        (33, 32, "per_block", 11),
        (16, 32, "per_block", 16),
        (37, 32, "per_channel", 0),
        (1, 32, "per_channel", 0),
        (7, 1, "per_block", 1),  # it divides, so it is what was asked for
    ],
)
def test_the_largest_that_fits(
    channels: int, block_size: int, granularity: str, fitting: int
) -> None:
    program = matmul_program(random_weight((channels, 5)))
    record = record_of(program, block_size=block_size, indivisible="fit")
    assert (record.granularity, record.block_size) == (granularity, fitting)
    divides = channels % block_size == 0
    said = f"block size {block_size} does not divide its input channels"
    assert record.reason == ("" if divides else said)
    same = quantize_weights(
        program, "int4", granularity=granularity, block_size=fitting, weight_num_threshold=0
    )
    fit = quantize_weights(
        program,
        "int4",
        granularity="per_block",
        block_size=block_size,
        weight_num_threshold=0,
        indivisible="fit",
    )
    assert weight_values(fit) == weight_values(same)


def test_skipping_is_the_default(caplog: pytest.LogCaptureFixture) -> None:
    record = record_of(matmul_program(random_weight((48, 5))))
    assert record.status == "skipped"
    assert len(caplog.records) == 1


def test_fitting_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        record_of(matmul_program(random_weight((48, 5))), indivisible="fit")
    assert not caplog.records


def test_mxfp4_has_blocks_of_32_and_no_others() -> None:
    record = record_of(matmul_program(random_weight((48, 5))), "fp4_e2m1fn", indivisible="fit")
    assert record.status == "skipped"


def test_a_rule_can_say_it() -> None:
    rules = [{"shape": (48, 5), "indivisible": "fit"}]
    assert record_of(matmul_program(random_weight((48, 5))), overrides=rules).block_size == 24


def test_a_trained_network() -> None:
    """Four of CREPE-tiny's seven weights have 1 or 16 input channels."""
    program = load_asset(CREPE).program
    counts = {
        choice: len(
            find_quantized(
                quantize_weights(program, "int4", granularity="per_block", indivisible=choice)
            )
        )
        for choice in ("skip", "fit")
    }
    assert counts == {"skip": 3, "fit": 7}
