"""Tables and sparse weights in the manners of ``quantize_weights``: rules, records, plans."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

from coreai_opt import QuantizationReport, Rule, WeightRecord, palettize_array
from coreai_opt.coreai_utils import (
    palettize_weights,
    plan_quantization,
    quantize_weights,
    sparsify_weights,
)
from coreai_opt.planning import measure
from coreai_opt.program.assets import load_asset
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.settings.rules import make_rule
from coreai_opt.settings.rules_file import dump_rules, load_rules

from ..support.programs import all_stored, layers, random_weight, text, three_kinds

Compress = Callable[..., Any]


def palettize(program: Any, **arguments: Any) -> Any:
    return palettize_weights(program, None, weight_num_threshold=0, **arguments)


def sparsify(program: Any, **arguments: Any) -> Any:
    return sparsify_weights(program, weight_num_threshold=0, **arguments)


BOTH = pytest.mark.parametrize("compress", [palettize, sparsify])


def formats(program: Any) -> list[str]:
    return [weight.format for weight in find_quantized(program)]


def records_of(compress: Compress, program: Any, **arguments: Any) -> list[WeightRecord]:
    found: list[WeightRecord] = []
    compress(program, progress=found.append, **arguments)
    return found


def test_a_rule_says_which_of_the_forms_a_weight_has() -> None:
    rules = [
        Rule(consumer="gather_nd", dtype="int8", granularity="per_channel"),
        {"shape": [32, 64], "n_bits": 3, "granularity": "per_grouped_channel", "group_size": 8},
    ]
    assert formats(palettize(three_kinds(), overrides=rules)) == ["int8", "lut3", "lut4"]
    assert formats(sparsify(three_kinds(), overrides=rules)) == ["int8", "lut3", "sparse float32"]
    quantized = quantize_weights(three_kinds(), "int4", weight_num_threshold=0, overrides=rules)
    assert formats(quantized) == ["int8", "lut3", "int4"]


def test_a_rule_of_tables_has_the_other_settings_of_a_call_that_asks_for_tables() -> None:
    call = {"granularity": "per_grouped_channel", "group_size": 8, "enable_per_channel_scale": True}
    rules = [{"shape": [32, 64], "n_bits": 2}]
    _, linear, _ = records_of(palettize, three_kinds(), overrides=rules, **call)
    assert (linear.format_after, linear.granularity, linear.block_size, linear.scales) == (
        "lut2", "per_grouped_channel", 8, "per_channel"
    )  # fmt: skip
    # A call for integers says nothing about tables, and one for tables nothing about integers.
    found: list[WeightRecord] = []
    quantize_weights(
        three_kinds(),
        "int4",
        granularity="per_block",
        weight_num_threshold=0,
        overrides=rules,
        progress=found.append,
    )
    assert (found[1].format_after, found[1].granularity) == ("lut2", "per_tensor")
    _, linear, _ = records_of(
        palettize, three_kinds(), overrides=[{"shape": [32, 64], "dtype": "int4"}], **call
    )
    assert (linear.format_after, linear.granularity) == ("int4", "per_channel")


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ({"n_bits": 4, "dtype": "int4"}, "dtype has no place beside n_bits: look-up tables have"),
        ({"n_bits": 4, "block_size": 32}, "block_size has no place beside n_bits"),
        ({"dtype": "int4", "group_size": 8}, "group_size has no place beside dtype: codes and"),
        ({"n_bits": 5}, "`n_bits` must be one of 1, 2, 3, 4, 6, 8; got 5"),
        ({"n_bits": 4, "granularity": "per_block"}, "`granularity` must be one of"),
        (
            {"n_bits": 4, "enable_per_channel_scale": True, "scale_block_size": 8},
            "scale_block_size cannot be set beside enable_per_channel_scale=True",
        ),
        ({"n_bits": 4, "scale_block_size": 0}, "scale_block_size must be an int >= 1"),
    ],
)
def test_settings_of_both_kinds_are_not_mixed(rule: dict[str, Any], message: str) -> None:
    program = three_kinds()
    for compress in (palettize, sparsify):
        with pytest.raises(ValueError, match=f"^rule 1: {message}"):
            compress(program, overrides=[{"name": "*", **rule}])
    with pytest.raises(ValueError, match=f"^rule 1: {message}"):
        quantize_weights(program, None, overrides=[{"name": "*", **rule}])


def test_records_tell_what_became_of_each_weight() -> None:
    report = QuantizationReport()
    after = palettize(
        three_kinds(),
        n_bits=3,
        granularity="per_grouped_channel",
        group_size=16,
        scale_block_size=32,
        overrides=[{"consumer": "gather_nd", "keep": True}],
        progress=report,
    )
    kept, linear, right = report.records
    assert (kept.status, kept.reason) == ("kept", "rule 1 keeps it")
    stored = find_quantized(after)
    for record, weight in zip((linear, right), stored, strict=True):
        assert (record.status, record.format_after, record.scales) == (
            "quantized", "lut3", "blocks of 32"
        )  # fmt: skip
        assert (record.qscheme, record.observer, record.rounding) == ("", "minmax", "")
        assert record.nbytes_after == weight.nbytes
        assert record.name == weight.name
        assert record.error is not None
        assert 13 < record.error.sqnr_db < 20
    table = report.to_markdown()
    assert "lut3, groups of 16 channels, scales blocks of 32" in table
    assert "lut3, groups of 16 channels, scales blocks of 32" in report.to_html()


def test_rules_ask_for_vectors_and_for_searched_scales() -> None:
    rules = [
        {"consumer": "gather_nd", "n_bits": 4, "scale_block_size": 32, "observer": "mse"},
        {"shape": [32, 64], "n_bits": 6, "cluster_dim": 2},
    ]
    found: list[WeightRecord] = []
    after = quantize_weights(
        three_kinds(),
        "int4",
        weight_num_threshold=0,
        overrides=load_rules_of(rules),
        progress=found.append,
    )
    assert formats(after) == ["lut4", "lut6x2", "int4"]
    assert [record.observer for record in found] == ["mse", "", "minmax"]
    assert [record.nbytes_after for record in found] == [
        weight.nbytes for weight in find_quantized(after)
    ]


def load_rules_of(rules: Sequence[Any]) -> list[Rule]:
    """Return rules after they were written to a file."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "rules.toml"
        path.write_text(dump_rules([make_rule(rule) for rule in rules]))
        return load_rules(path)


def test_records_of_sparse_weights() -> None:
    (record,) = records_of(sparsify, layers(random_weight((64, 32))), quantize_dtype="int8")
    assert (record.format_after, record.granularity) == ("sparse int8", "per_channel")
    assert record.error is not None
    assert 8 < record.error.sqnr_db < 13
    report = QuantizationReport()
    sparsify(layers(random_weight((64, 32))), progress=report)
    assert report.records[0].granularity == ""
    assert "| sparse float32 |" in report.to_markdown()


@BOTH
def test_threads_and_backends_give_the_same_bytes(
    compress: Compress, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coreai_opt.program.quantize.WORTH_A_THREAD", 1)
    program = three_kinds()
    expected = all_stored(compress(program, num_threads=1))
    for backend, threads in (("native", 3), ("reference", 1), ("validate", 2)):
        assert all_stored(compress(program, backend=backend, num_threads=threads)) == expected


@BOTH
def test_an_asset_is_loaded_anew(compress: Compress, tmp_path: Path) -> None:
    program = three_kinds()
    program.save_asset(tmp_path / "model.aimodel")
    asset = load_asset(tmp_path / "model.aimodel")
    assert formats(compress(asset)) == formats(compress(program))
    assert formats(asset.program) == []


@BOTH
def test_what_progress_raises_ends_the_call_with_a_valid_program(compress: Compress) -> None:
    program, seen = three_kinds(), []

    def stop(record: WeightRecord) -> None:
        seen.append(record)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compress(program, in_place=True, progress=stop)
    assert len(formats(program)) == 2
    assert len(formats(compress(program))) == 3


@BOTH
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"backend": "fast"}, "backend"),
        ({"num_threads": 0}, "num_threads must be an int >= 1"),
        ({"overrides": [{"name": "nowhere", "keep": True}]}, "rule 1 matches no weight"),
        ({"target": "moon"}, "Invalid target"),
    ],
)
def test_bad_arguments_are_named(
    compress: Compress, arguments: dict[str, Any], message: str
) -> None:
    program = three_kinds()
    before = text(program)
    with pytest.raises(ValueError, match=message):
        compress(program, in_place=True, **arguments)
    assert text(program) == before


def test_a_block_of_scales_that_does_not_divide_leaves_the_weight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "coreai_opt"):
        after = palettize(layers(random_weight((30, 8))), scale_block_size=32)
    assert formats(after) == []
    assert "block size 32 does not divide axis 0: 30 input channels" in caplog.text
    assert "indivisible" not in caplog.text  # which tables do not have


def test_a_target_refuses_codes_of_a_rule_and_no_tables() -> None:
    program = three_kinds()
    assert formats(palettize(program, target="neural-engine")) == ["lut4"] * 3
    with pytest.raises(ValueError, match=r"rule 1: .*integers of 4 bits are reported not to work"):
        palettize(program, target="neural-engine", overrides=[{"name": "*", "dtype": "int4"}])


def test_importance_reaches_the_tables() -> None:
    weight = random_weight((32, 64))
    program = layers(weight)
    name = find_weights(program, 0)[0].name
    moments = np.random.default_rng(1).random(32).astype(np.float32)
    after = palettize(program, n_bits=2, importance={name: moments})
    (stored,) = find_quantized(after)
    expected = palettize_array(weight, 2, importance=moments[:, np.newaxis])
    assert stored.form.read(stored.op).table.tobytes() == expected.table.tobytes()
    assert expected.table.tobytes() != palettize_array(weight, 2).table.tobytes()


# Plans.


def plan_for(program: Any, nbytes: int, forms: list[str]) -> Any:
    return plan_quantization(program, target_bytes=nbytes, forms=forms, weight_num_threshold=0)


@pytest.mark.parametrize(("share", "gain"), [(3.6, 2), (4.3, 0.4), (6.2, 4)])
def test_a_plan_with_tables_uses_rungs_that_integers_do_not_have(
    share: float, gain: float, tmp_path: Path
) -> None:
    """At ``share`` bits per weight it is better than one of integers alone by ``gain`` dB."""
    weights = [random_weight((256, 256), np.float16, seed) for seed in range(2)]
    program = layers(*weights)
    size = int(2 * 256 * 256 * share / 8)
    plan = plan_for(program, size, ["integer", "table"])
    assert plan.sqnr_db > plan_for(program, size, ["integer"]).sqnr_db + gain
    assert any(rule.n_bits for rule in plan.rules)
    assert all(rule.observer == "mse" for rule in plan.rules if rule.scale_block_size)
    carried_out = quantize_weights(program, None, overrides=plan.rules, weight_num_threshold=0)
    assert sum(weight.nbytes for weight in find_quantized(carried_out)) == plan.nbytes <= size
    (tmp_path / "plan.toml").write_text(plan.to_toml())
    rules = load_rules(tmp_path / "plan.toml")
    replayed = quantize_weights(program, None, overrides=rules, weight_num_threshold=0)
    assert all_stored(replayed) == all_stored(carried_out)


def test_tables_alone_are_planned_for_a_target_that_has_no_integers_of_4_bits() -> None:
    program = layers(random_weight((256, 256), np.float16))
    plan = plan_quantization(
        program,
        min_sqnr=17,
        forms=["table"],
        target="neural-engine",
        weight_num_threshold=0,
    )
    assert [rule.n_bits for rule in plan.rules] == [4]


def test_bytes_of_sampled_weights_are_exact(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("coreai_opt.planning.sample.ELEMENTS", 1 << 12)
    program = layers(random_weight((64, 512), np.float16))
    taken: list[tuple[int, ...]] = []
    candidates = measure._candidates

    def watch(sample: Any, *rest: Any) -> Any:
        taken.append(sample.array.shape)
        return candidates(sample, *rest)

    monkeypatch.setattr(measure, "_candidates", watch)
    for settings in (
        {"n_bits": 3, "scale_block_size": 32},
        {"n_bits": 4, "granularity": "per_channel"},
        {"n_bits": 4, "granularity": "per_channel", "enable_per_channel_scale": True},
    ):
        plan = plan_quantization(
            program, target_bytes=60_000, candidates=[settings], weight_num_threshold=0
        )
        (rule,) = plan.rules
        assert rule.n_bits == settings["n_bits"]
        after = quantize_weights(program, None, overrides=plan.rules, weight_num_threshold=0)
        assert sum(weight.nbytes for weight in find_quantized(after)) == plan.nbytes
    assert taken == [(64, 64)] * 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"forms": "table"}, TypeError, "forms must be a sequence of one or more of integer, tab"),
        ({"forms": []}, TypeError, "forms must be a sequence of one or more"),
        ({"forms": ["float"]}, ValueError, "Invalid forms 'float'"),
        (
            {"forms": ["table"], "candidates": [{"n_bits": 4}]},
            ValueError,
            "forms must be None with candidates",
        ),
        (
            {"candidates": [{"n_bits": 4, "dtype": "int4"}]},
            ValueError,
            "candidate 1: dtype has no place beside n_bits",
        ),
    ],
)
def test_bad_forms_are_named(
    arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        plan_quantization(three_kinds(), target_bytes=1000, **arguments)
