"""What people type for a format, a granularity and so on, and what they are told if it is wrong."""

from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from coreai_opt import Rule, quantize_array
from coreai_opt.arrays.backends import parse_backend
from coreai_opt.cli.command import make_parser
from coreai_opt.coreai_utils import plan_quantization
from coreai_opt.settings import enums
from coreai_opt.settings.arguments import parse_member
from coreai_opt.settings.enums import (
    SHORT_NAMES,
    CandidateForm,
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
    Rounding,
)
from coreai_opt.settings.presets import find_preset
from coreai_opt.settings.pruning import check_pruning
from coreai_opt.settings.rules import make_rule, parse_rules
from coreai_opt.settings.settings import DEFAULTS, TABLE_DEFAULTS
from coreai_opt.settings.tables import check_tables
from coreai_opt.settings.targets import Target

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
    """A type has every value, and every short name of one."""
    enum, names = getattr(enums, name), get_args(NAMES[name])
    values = {member.value for member in enum}
    assert set(names) == values | {short for short, long in SHORT_NAMES.items() if long in values}
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


@pytest.mark.parametrize(
    ("spelled", "value"),
    [
        ("Neural_Engine", Target.NEURAL_ENGINE),
        (" GPU", Target.GPU),
        ("TABLE", CandidateForm.TABLE),
        ("Fit", Indivisible.FIT),
        ("GPTQ", Rounding.GPTQ),
    ],
)
def test_python_takes_what_the_command_takes(spelled, value):
    assert parse_member(type(value), "argument", spelled) is value


def test_names_that_are_no_enum_in_any_case():
    quantized = quantize_array(WEIGHT, "INT4", granularity="CHANNEL", backend="Reference")
    assert quantized.dequantize("Float16", backend="NATIVE").dtype == np.float16
    assert find_preset("INT8") is find_preset("int8")


def test_the_backend_of_the_environment_in_any_case(monkeypatch):
    monkeypatch.setenv("COREAI_OPT_BACKEND", "Reference")
    assert parse_backend("auto") is parse_backend("reference")


def test_tables_and_sparse_values_in_any_case():
    tables = replace(TABLE_DEFAULTS, n_bits=4, lut_dtype="INT8", granularity="Tensor")
    checked = check_tables(tables)
    assert checked.lut_dtype is DType.INT8
    assert checked.granularity is CompressionGranularity.PER_TENSOR
    assert check_pruning(0.5, None, None, "FP8", None).dtype is DType.FP8_E4M3FN


QUANTIZED = quantize_array(WEIGHT, "int4", granularity="per_channel")


@pytest.mark.parametrize(
    ("call", "near"),
    [
        (lambda: parse_member(Target, "target", "gp"), "gpu"),
        (lambda: parse_member(CandidateForm, "forms", "tabel"), "table"),
        (lambda: parse_backend("natve"), "native"),
        (lambda: QUANTIZED.dequantize("flot16"), "float16"),
        (lambda: find_preset("int-8"), "int8"),
        (lambda: check_pruning(0.5, None, None, "in8", None), "int8"),
        (lambda: check_tables(replace(TABLE_DEFAULTS, n_bits=4, lut_dtype="uit8")), "uint8"),
        (lambda: check_tables(replace(TABLE_DEFAULTS, granularity="chanel")), "per_channel"),
        (lambda: make_rule({"name": "*", "dtyp": "int4"}), "dtype"),
        (lambda: plan_quantization(None, min_sqnr=9, candidates=[{"dtyp": "int4"}]), "dtype"),
    ],
)
def test_errors_name_a_near_one(call, near):
    with pytest.raises((ValueError, TypeError), match=rf"\(did you mean '{near}'\?\)"):
        call()


def test_tables_say_what_they_can_have():
    """Formats that entries cannot have are not named, whether the text is a format or none."""
    for wrong in ("int4", "in4"):
        with pytest.raises(ValueError, match=r"None, 'int8', 'uint8', 'fp8_e4m3fn', 'fp8_e5m2'; "):
            check_tables(replace(TABLE_DEFAULTS, n_bits=4, lut_dtype=wrong))


@pytest.mark.parametrize("typed", ["50%", "0.5", "50.0%"])
def test_a_sparsity_may_be_in_percent(typed):
    options = make_parser().parse_args(["sparsify", "in.aimodel", "--target-sparsity", typed])
    assert options.target_sparsity == 0.5
