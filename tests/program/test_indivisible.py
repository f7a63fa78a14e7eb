"""Weights whose input channels the block size does not divide: skipped, or blocks that fit."""

import logging
from typing import Any

import pytest
from coreai.authoring import AIProgram
from coreai.authoring.constant import constant

from coreai_opt.coreai_utils import CompressionGranularity, quantize_weights
from coreai_opt.program.assets import load_asset
from coreai_opt.program.channel_axes import weight_blocks
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.reports.records import WeightRecord

from ..support.command import MODEL
from ..support.programs import (
    F32,
    make_program,
    matmul_program,
    random_weight,
    transposed_convolution,
    weight_values,
)


def grouped(channels: int, groups: int) -> AIProgram:
    """A transposed convolution of so many input channels."""
    return make_program(
        lambda x: (
            transposed_convolution(x, constant(random_weight((channels, 3, 3, 3))), groups=groups),
        ),
        {"x": ((1, channels, 5, 5), F32)},
        {"y": ((1, 3 * groups, 7, 7), F32)},
    )


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
        (7, 7, "per_block", 7),  # it divides, so it is what was asked for
    ],
)
def test_the_largest_that_fits(
    channels: int, block_size: int, granularity: str, fitting: int
) -> None:
    program = matmul_program(random_weight((channels, 5)))
    record = record_of(program, block_size=block_size, indivisible="fit")
    assert (record.granularity, record.block_size) == (granularity, fitting)
    axis = "axis 0: " if channels > 1 else ""
    said = f"block size {block_size} does not divide {axis}{channels} input channels"
    taken = f"{said}; {fitting or granularity} is taken"
    assert record.reason == ("" if channels % block_size == 0 else taken)
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


@pytest.mark.parametrize(
    ("block_size", "sizes", "granularity"),
    [
        (4, (3, 1, 0, 0), "per_block"),
        (6, (6, 1, 0, 0), "per_block"),
        (8, (6, 1, 0, 0), "per_block"),
    ],
)
def test_what_fits_a_group_of_a_transposed_convolution(
    block_size: int, sizes: tuple[int, ...], granularity: str
) -> None:
    """12 input channels in 2 groups: 4 divides the axis, but not the 6 channels of a group."""
    program = grouped(12, 2)
    record = record_of(program, block_size=block_size, indivisible="fit")
    assert (record.granularity, record.block_size) == (granularity, sizes[0])
    said = f"block size {block_size} does not divide axis 0: 6 channels of each group"
    assert record.reason == ("" if block_size == 6 else f"{said}; {sizes[0]} is taken")
    (weight,) = find_weights(program, 0)
    fitting = weight_blocks(weight, CompressionGranularity.PER_BLOCK, block_size, fit=True)
    assert fitting.sizes == sizes


def test_groups_that_only_1_divides_have_scales_of_their_own() -> None:
    """14 input channels in 2 groups: one scale for 7 of them, not for all."""
    (weight,) = find_weights(grouped(14, 2), 0)
    blocks = weight_blocks(weight, CompressionGranularity.PER_BLOCK, 4, fit=True)
    assert (blocks.sizes, blocks.block_size) == ((7, 1, 0, 0), 0)
    assert blocks.granularity is CompressionGranularity.PER_CHANNEL


def test_no_time_is_lost_on_huge_block_sizes() -> None:
    """Only sizes up to the number of channels are tried; to this one it would take days."""
    program = matmul_program(random_weight((7, 5)))
    assert record_of(program, block_size=10**15, indivisible="fit").block_size == 7


def test_skipping_is_the_default(caplog: pytest.LogCaptureFixture) -> None:
    record = record_of(matmul_program(random_weight((48, 5))))
    assert record.status == "skipped"
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("dtype", "advice"),
    [("int4", 'indivisible="fit" takes 24'), ("fp4_e2m1fn", "MXFP4 has no other blocks")],
)
def test_a_warning_says_what_to_do(
    dtype: str, advice: str, caplog: pytest.LogCaptureFixture
) -> None:
    record_of(matmul_program(random_weight((48, 5))), dtype)
    (warning,) = caplog.records
    assert advice in warning.getMessage()


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
    """Four of MODEL-tiny's seven weights have 1 or 16 input channels."""
    program = load_asset(MODEL).program
    counts = {
        choice: len(
            find_quantized(
                quantize_weights(program, "int4", granularity="per_block", indivisible=choice)
            )
        )
        for choice in ("skip", "fit")
    }
    assert counts == {"skip": 3, "fit": 7}
