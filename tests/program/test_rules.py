"""Rules: which weights they match, what becomes of those, and what is wrong with bad ones."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from coreai.authoring import Value, gather_nd
from coreai.authoring.constant import constant

from coreai_opt import DType, Observer, Rule
from coreai_opt.coreai_utils import palettize_weights, quantize_weights
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.settings.rules import KEYS
from coreai_opt.settings.rules_file import dump_rules, load_rules

from ..support.programs import (
    F32,
    LINEAR,
    RIGHT,
    TABLE,
    linear,
    make_program,
    random_weight,
    text,
    three_kinds,
    weight_values,
)

if TYPE_CHECKING:
    from coreai_opt.reports.records import WeightRecord


def quantize(*rules: Rule | Mapping[str, Any], dtype: str | None = "int8", **options: Any) -> Any:
    """Return each weight's record, by its shape."""
    records: list[WeightRecord] = []
    quantize_weights(
        three_kinds(),
        dtype,
        weight_num_threshold=0,
        overrides=rules,
        progress=records.append,
        **options,
    )
    return {record.shape: record for record in records}


def formats(*rules: Rule | Mapping[str, Any], **options: Any) -> list[str]:
    """What became of the table, the linear layer and the matmul."""
    records = quantize(*rules, **options)
    return [records[shape].format_after for shape in (TABLE, LINEAR, RIGHT)]


NAMES = {weight.shape: weight.name for weight in find_weights(three_kinds(), 0)}


@pytest.mark.parametrize(
    ("match", "matched"),
    [
        ({"name": "*"}, "TLR"),
        ({"name": NAMES[LINEAR]}, "L"),
        ({"name": NAMES[LINEAR][:-1]}, ""),
        ({"name": NAMES[LINEAR].upper()}, ""),
        ({"name": "*/32x??"}, "LR"),
        ({"name": "main/*/gather_nd:0/*"}, "T"),
        ({"name": "re:.*/32x(64|17)"}, "L"),
        ({"name": "re:32x64"}, ""),  # the whole name has to match
        ({"name": "re:main/"}, ""),
        ({"consumer": "gather_nd"}, "T"),
        ({"consumer": "coreai.gather_nd"}, "T"),
        ({"consumer": "*matmul"}, "LR"),  # the linear layer's is behind a transpose
        ({"consumer": "transpose"}, ""),
        ({"consumer": "re:coreai[.]decomposable[.].*"}, "LR"),
        ({"shape": (32, 64)}, "L"),
        ({"shape": ("*", 64)}, "TL"),
        ({"shape": (">=48", "*")}, "T"),
        ({"shape": (">48", "*")}, ""),
        ({"shape": ("<=32", "<64")}, "R"),
        ({"shape": ("*",)}, ""),
        ({"shape": ("*", "*", "*")}, ""),
        ({"consumer": "*matmul", "shape": ("*", 64)}, "L"),
        ({"consumer": "*matmul", "name": "*48x64"}, ""),
    ],
    ids=str,
)
def test_what_matches(match: dict[str, Any], matched: str) -> None:
    if matched:
        expected = ["int4" if kind in matched else "int8" for kind in "TLR"]
        assert formats(Rule(**match, dtype="int4")) == expected
    else:
        with pytest.raises(ValueError, match=r"^rule 1 matches no weight; "):
            formats(Rule(**match, dtype="int4"))


def test_one_of_several_consumers_is_enough() -> None:
    def body(x: Value, rows: Value) -> Any:
        table = constant(random_weight((48, 64)))
        return linear(x, table), gather_nd(table, rows)

    tied = make_program(
        body,
        {"x": ((4, 64), F32), "rows": ((4, 1), np.int32)},
        {"y": ((4, 48), F32), "z": ((4, 64), F32)},
    )
    for consumer in ("gather_nd", "*matmul"):
        rules = [Rule(consumer=consumer, dtype="int4")]
        (weight,) = find_quantized(quantize_weights(tied, "int8", overrides=rules))
        assert weight.format == "int4"


def test_the_last_rule_counts_alone() -> None:
    rules = [
        Rule(name="*", dtype="int4", granularity="per_block", block_size=16),
        Rule(consumer="*matmul", dtype="uint2"),
        Rule(shape=LINEAR, keep=True),
    ]
    records = quantize(*rules)
    table, layer, matmul = (records[shape] for shape in (TABLE, LINEAR, RIGHT))
    assert (table.format_after, table.block_size, table.rules) == ("int4", 16, (1,))
    # Nothing of the first rule is left where the second counts.
    assert (matmul.format_after, matmul.granularity) == ("uint2", "per_channel")
    assert matmul.rules == (1, 2)
    assert (layer.format_after, layer.status, layer.rules) == ("float32", "kept", (1, 2, 3))
    assert layer.reason == "rule 3 keeps it"
    assert layer.nbytes_after == layer.nbytes_before


def test_settings_that_a_rule_does_not_give_are_the_calls() -> None:
    records = quantize(
        Rule(shape=TABLE, block_size=16),
        Rule(shape=LINEAR, dtype="int4"),
        Rule(shape=RIGHT, observer="mse"),
        dtype="uint4",
        qscheme="asymmetric",
        granularity="per_block",
        block_size=8,
    )
    for shape, expected in {
        TABLE: ("uint4", "asymmetric", "per_block", 16, "minmax"),
        LINEAR: ("int4", "symmetric", "per_block", 8, "minmax"),  # the scheme is the dtype's
        RIGHT: ("uint4", "asymmetric", "per_block", 8, "mse"),
    }.items():
        r = records[shape]
        found = (r.format_after, r.qscheme, r.granularity, r.block_size, r.observer)
        assert found == expected


def test_a_dtype_brings_the_scales_of_the_weights_dtype_unless_it_says_otherwise() -> None:
    records = quantize(
        Rule(shape=TABLE, dtype="int8"),
        Rule(shape=LINEAR, dtype="fp8_e5m2", scale_dtype="fp8_e8m0fnu"),
        dtype="fp8_e4m3fn",
        scale_dtype="fp8_e8m0fnu",
    )
    assert [records[shape].scale_dtype for shape in (TABLE, LINEAR, RIGHT)] == [
        "float32",
        "float8_e8m0fnu",
        "float8_e8m0fnu",
    ]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_without_a_dtype_only_what_rules_match_is_quantized(num_threads: int) -> None:
    records = quantize(Rule(shape=LINEAR, dtype="int4"), dtype=None, num_threads=num_threads)
    assert [records[shape].status for shape in (TABLE, LINEAR, RIGHT)] == [
        "kept",
        "quantized",
        "kept",
    ]
    assert records[TABLE].reason == "no rule matches it"
    assert [record.status for record in quantize(dtype=None).values()] == ["kept"] * 3
    with pytest.raises(TypeError, match="Unsupported weight dtype None"):
        quantize_weights(three_kinds(), None)


def test_rules_give_what_calls_give() -> None:
    """Each weight is what a call with its rule's settings makes of it."""
    program = three_kinds()
    whole = {
        dtype: weight_values(quantize_weights(program, dtype, weight_num_threshold=0))
        for dtype in ("int4", "fp8_e4m3fn", "uint8")
    }
    rules = [Rule(shape=TABLE, dtype="int4"), Rule(shape=LINEAR, dtype="fp8_e4m3fn")]
    mixed = quantize_weights(program, "uint8", weight_num_threshold=0, overrides=rules)
    weights = find_quantized(mixed)
    assert [w.format for w in weights] == ["int4", "fp8_e4m3fn", "uint8"]
    assert weight_values(mixed) == [whole[w.format][i] for i, w in enumerate(weights)]


def test_importances_go_to_the_weights_that_are_searched() -> None:
    """Here a rule asks for MSE, not the call; the other weights' importances change nothing."""
    program = three_kinds()
    random = np.random.default_rng(3).standard_normal(64)
    importance = {NAMES[shape]: np.exp(3 * random) for shape in (TABLE, LINEAR)}
    rules = [Rule(shape=LINEAR, observer="mse"), Rule(shape=RIGHT, keep=True)]

    def values(**options: Any) -> list[Any]:
        options = {"weight_num_threshold": 0, "overrides": rules, **options}
        return weight_values(quantize_weights(program, "int4", **options))

    with_it, without = values(importance=importance), values()
    assert [a == b for a, b in zip(with_it, without, strict=True)] == [True, False, True]
    everywhere = values(overrides=None, observer="mse", importance=importance)
    assert with_it[1] == everywhere[1]
    with pytest.raises(ValueError, match=r"^importance must be None unless observer is"):
        values(overrides=rules[1:], importance=importance)


def test_rules_see_weights_above_the_threshold_only() -> None:
    with pytest.raises(ValueError, match="rule 1 matches no weight"):
        quantize_weights(
            three_kinds(),
            "int8",
            weight_num_threshold=1024,
            overrides=[Rule(shape=RIGHT, dtype="int4")],
        )


BAD = [
    ({"name": "*"}, ValueError, "must have keep = true or settings"),
    ({"name": "*", "keep": True, "dtype": "int4"}, ValueError, "must have keep = true or settings"),
    ({"dtype": "int4"}, ValueError, "must have a name, a consumer or a shape"),
    ({"name": "*", "bits": 4}, ValueError, "has the unknown key 'bits'; keys are name, consumer"),
    ({"name": 3, "dtype": "int4"}, TypeError, "name must be a string; got 3"),
    ({"name": "re:(", "dtype": "int4"}, ValueError, "name 're:(' is no regular expression"),
    ({"consumer": ["conv2d"], "dtype": "int4"}, TypeError, "consumer must be a string"),
    ({"shape": "2x2", "dtype": "int4"}, TypeError, "shape must be a tuple"),
    ({"shape": ("=4",), "dtype": "int4"}, ValueError, "shape has '=4'"),
    ({"shape": (True,), "dtype": "int4"}, ValueError, "shape has True"),
    ({"name": "*", "keep": "yes"}, TypeError, "keep must be true or false; got 'yes'"),
    ({"name": "*", "dtype": "int3"}, ValueError, "Unsupported weight dtype 'int3'"),
    (
        {"name": "*", "dtype": "fp4_e2m1fn", "granularity": "per_tensor"},
        ValueError,
        "DType.FP4_E2M1FN requires granularity",
    ),
    ({"name": "*", "scale_dtype": "fp8_e8m0fnu"}, ValueError, "scale_dtype must be None"),
    ({"name": "*", "granularity": "per_block", "block_size": 0}, ValueError, "block_size must be"),
    ({"name": "*", "block_size": 8}, ValueError, "block_size needs granularity 'per_block'; it is"),
    ({"name": "*", "indivisible": "maybe"}, ValueError, "Invalid indivisible 'maybe'"),
    ("int4", TypeError, "must be a table of keys and values; got 'int4'"),
]


@pytest.mark.parametrize(("rule", "error", "message"), BAD, ids=str)
def test_bad_rules_are_named_and_nothing_is_touched(
    rule: Any, error: type[Exception], message: str
) -> None:
    program = three_kinds()
    before = text(program)
    rules = [{"name": "*", "keep": True}, rule]
    with pytest.raises(error, match=re.escape(f"rule 2: {message}")):
        quantize_weights(program, "int8", weight_num_threshold=0, overrides=rules, in_place=True)
    assert text(program) == before


def test_a_bad_setting_of_the_call_is_not_blamed_on_a_rule() -> None:
    rules = [{"name": "*", "observer": "mse"}]
    with pytest.raises(ValueError, match=r"^Unsupported weight dtype 'int3'"):
        quantize_weights(three_kinds(), "int3", overrides=rules)


@pytest.mark.parametrize("overrides", ["*", b"*", {"name": "*"}, 3, Rule(name="*", keep=True)])
def test_overrides_that_are_no_sequence(overrides: Any) -> None:
    with pytest.raises(TypeError, match=r"^overrides must be a sequence of rules; got "):
        quantize_weights(three_kinds(), "int8", overrides=overrides)


@pytest.mark.parametrize(
    ("rule", "near"),
    [
        (Rule(name=NAMES[TABLE] + "x", keep=True), f"is nearest to {NAMES[TABLE]!r}"),
        (Rule(consumer="gathr_nd", keep=True), "consumer 'gathr_nd' is nearest to"),
        (Rule(shape=(48, 65), keep=True), "shape (48, 65) is nearest to '(48, 64)'"),
        (Rule(name="re:(?i)nothing", keep=True), "name 're:(?i)nothing' is nearest to"),
        # What cannot be put between others as it is.
        (Rule(name="re:(?x) (?i)nothing", keep=True), "is nearest to"),
        (Rule(name="re:(?x)nothing # at all", keep=True), "is nearest to"),
    ],
)
def test_a_rule_that_matches_nothing_lists_what_is_near(rule: Rule, near: str) -> None:
    program = three_kinds()
    before = text(program)
    rules = [Rule(name="*", dtype="int4"), rule]
    with pytest.raises(ValueError, match=r"^rule 2 matches no weight; ") as caught:
        quantize_weights(program, "int8", weight_num_threshold=0, overrides=rules, in_place=True)
    assert near in str(caught.value).replace("'(48, 65)'", "(48, 65)")
    assert "would match" not in str(caught.value)
    assert text(program) == before


@pytest.mark.parametrize(
    ("rule", "wider"),
    [
        (Rule(name="48x64", keep=True), "'*48x64*' would match whole names"),
        (Rule(name="re:48|64", keep=True), "'re:.*(?:48|64).*' would match whole names"),
        (Rule(name="re:(?i)MAIN|48X64", keep=True), "'re:(?i).*(?:MAIN|48X64).*' would match"),
        (Rule(name="re:(?i)(?s)48X64", keep=True), "'re:(?i)(?s).*(?:48X64).*' would match"),
        (Rule(consumer="gather", keep=True), "'*gather*' would match whole consumers"),
    ],
)
def test_a_rule_that_matches_parts_alone_says_what_would_match(rule: Rule, wider: str) -> None:
    with pytest.raises(ValueError, match=r"^rule 1 matches no weight; ") as caught:
        quantize(rule)
    assert wider in str(caught.value)
    pattern = wider.split("'")[1]
    quantize(
        Rule(name=pattern if rule.name else None, consumer=rule.consumer and pattern, keep=True)
    )


RULES = [
    Rule(name='re:["\\\\]+ü\n.*', keep=True),
    Rule(consumer="*", shape=(3, "*", "<=4"), dtype="uint4", qscheme="asymmetric"),
    Rule(name="a", granularity="per_block", block_size=16, indivisible="fit", observer="mse"),
    Rule(name="b", dtype="fp8_e5m2", scale_dtype="fp8_e8m0fnu"),
]


def test_rules_are_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_text(dump_rules(RULES), "utf-8")
    assert load_rules(path) == RULES
    path.write_text(dump_rules([]))
    assert load_rules(path) == []


VALUES: dict[str, tuple[Any, ...]] = {
    "name": ("a", 're:["\\\\]+ü\n.*'),
    "consumer": ("*",),
    "shape": ((3, "*", "<=4"), (np.int64(3), "*")),
    "keep": (True, False),
    "dtype": ("int4", DType.INT4),
    "qscheme": ("asymmetric",),
    "granularity": ("per_block",),
    "block_size": (16, np.int64(16), np.uint8(16), np.array(16)),
    "scale_dtype": ("fp8_e8m0fnu",),
    "observer": ("mse", Observer.MSE),
    "rounding": ("gptq",),
    "indivisible": ("fit",),
    "n_bits": (4, np.int32(4)),
    "lut_dtype": ("int8",),
    "group_size": (8, np.int64(8)),
    "cluster_dim": (2, np.int64(2)),
    "enable_per_channel_scale": (True, False),
    "scale_block_size": (32, np.int64(32)),
}
"""Of each key of a rule what it can be."""


@pytest.mark.parametrize("key", KEYS)
def test_whatever_a_rule_says_is_written_and_read_again(key: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    rules = [Rule(**{"name": "a", key: value}) for value in VALUES[key]]
    path.write_text(dump_rules(rules), "utf-8")
    assert load_rules(path) == rules


def test_all_of_a_rule_is_written_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    for number in (0, -1):
        rule = Rule(**{key: values[number] for key, values in VALUES.items()})
        path.write_text(dump_rules([rule]), "utf-8")
        assert load_rules(path) == [rule]


def test_whole_numbers_of_numpy_are_those_of_python() -> None:
    rule = Rule(shape=(np.int64(32), "*"), block_size=np.int64(16), keep=False)
    assert repr(rule) == repr(Rule(shape=(32, "*"), block_size=16))
    records = quantize(Rule(shape=tuple(np.array(LINEAR)), dtype="int4"))
    assert records[LINEAR].format_after == "int4"


def test_a_rule_takes_back_scales_that_the_call_asks_for(tmp_path: Path) -> None:
    """``false`` says something beside a call that says ``true``, so it is written."""
    path = tmp_path / "rules.toml"
    rule = Rule(name="*", n_bits=4, enable_per_channel_scale=False, scale_block_size=16)
    path.write_text(dump_rules([rule]), "utf-8")
    palettize_weights(
        three_kinds(),
        None,
        4,
        enable_per_channel_scale=True,
        overrides=load_rules(path),
        weight_num_threshold=0,
    )


def test_short_rules_are_tables_of_their_own_too() -> None:
    """What is to be edited by hand is not one list on a few lines."""
    rules = [Rule(name="a", keep=True), Rule(name="b", dtype="int4")]
    tables = ['[[rule]]\nname = "a"\nkeep = true\n', '[[rule]]\nname = "b"\ndtype = "int4"\n']
    assert dump_rules(rules) == "\n".join(tables)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"rule", "is no TOML file"),
        (b"\xff", "is no TOML file"),
        (b"rule = 3", "must hold [[rule]] tables only; got rule"),
        (b"[[rules]]\nname = 'a'", "must hold [[rule]] tables only; got rules"),
        (b"[[rule]]\nname = 'a'\n[[rule]]\nnom = 'b'", "rule 2: has the unknown key 'nom'"),
        (b"rule = [3]", "rule 1: must be a table"),
    ],
)
def test_files_that_hold_no_rules(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "rules.toml"
    path.write_bytes(content)
    with pytest.raises((ValueError, TypeError), match=re.escape(message)) as caught:
        load_rules(path)
    assert str(caught.value).startswith(str(path))
