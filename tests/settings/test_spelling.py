"""What people type for a format, a granularity and so on, and what they are told if it is wrong."""

from typing import get_args

import numpy as np
import pytest

from coreai_opt import Rule, quantize_array
from coreai_opt.cli.command import make_parser
from coreai_opt.settings import enums
from coreai_opt.settings.enums import SHORT_NAMES, CompressionGranularity, DType, Observer, QScheme
from coreai_opt.settings.rules import parse_rules
from coreai_opt.settings.settings import DEFAULTS

WEIGHT = np.linspace(-1, 1, 64, dtype=np.float32).reshape(2, 32)
NAMES = {
    "DType": enums.DTypeName,
    "QScheme": enums.QSchemeName,
    "Observer": enums.ObserverName,
    "CompressionGranularity": enums.GranularityName,
    "Indivisible": enums.IndivisibleName,
    "Rounding": enums.RoundingName,
}


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("INT4", DType.INT4),
        ("Int4", DType.INT4),
        ("mxfp4", DType.FP4_E2M1FN),
        ("MXFP4", DType.FP4_E2M1FN),
        ("fp8", DType.FP8_E4M3FN),
        ("fp8-e5m2", DType.FP8_E5M2),
        ("per-block", CompressionGranularity.PER_BLOCK),
        ("block", CompressionGranularity.PER_BLOCK),
        ("MSE", Observer.MSE),
        ("Asymmetric", QScheme.ASYMMETRIC),
        ("asym", QScheme.ASYMMETRIC),
        ("group", CompressionGranularity.PER_GROUPED_CHANNEL),
    ],
)
def test_spellings(typed, meant):
    assert type(meant)(typed) is meant


@pytest.mark.parametrize("typed", ["", "int3", "4", "int 4", "symmetric"])
def test_what_spells_no_format(typed):
    with pytest.raises(ValueError, match="is not a valid DType"):
        DType(typed)


def test_another_near_one_is_named():
    with pytest.raises(ValueError, match=r"\(did you mean 'int4'\?\)"):
        quantize_array(WEIGHT, "in4", granularity="per_channel")


def test_short_names_mean_values():
    values = {member.value for name in NAMES for member in getattr(enums, name)}
    assert set(SHORT_NAMES.values()) <= values
    assert not set(SHORT_NAMES) & values


@pytest.mark.parametrize("name", NAMES)
def test_type_checkers_know_every_value(name):
    """A type has every value, and short names only where they mean one value."""
    enum, names = getattr(enums, name), get_args(NAMES[name])
    assert {member.value for member in enum} <= set(names)
    assert all(enum(spelled) in enum for spelled in names)


def test_a_rule_with_mxfp4_has_its_blocks():
    (rule,) = parse_rules([Rule(name="*", dtype="mxfp4")], DEFAULTS)
    assert rule.settings.granularity is CompressionGranularity.PER_BLOCK
    assert rule.settings.block_size == 32


def test_a_rule_with_mxfp4_may_not_have_others():
    with pytest.raises(ValueError, match="block_size=16"):
        parse_rules([Rule(name="*", dtype="mxfp4", block_size=16)], DEFAULTS)
    with pytest.raises(ValueError, match="PER_BLOCK"):
        parse_rules([Rule(name="*", dtype="mxfp4", granularity="channel")], DEFAULTS)


@pytest.mark.parametrize(
    ("option", "typed", "meant"),
    [
        ("--preset", "MacOS-4bit", "macos-4bit"),
        ("--target", "Neural_Engine", "neural-engine"),
        ("--backend", "Native", "native"),
        ("--granularity", "BLOCK", "per_block"),
    ],
)
def test_the_command_takes_every_case(option, typed, meant):
    options = make_parser().parse_args(["quantize", "in.aimodel", option, typed])
    assert getattr(options, option[2:]) == meant


@pytest.mark.parametrize("typed", ["50%", "0.5", "50.0%"])
def test_a_sparsity_may_be_in_percent(typed):
    options = make_parser().parse_args(["sparsify", "in.aimodel", "--target-sparsity", typed])
    assert options.target_sparsity == 0.5
