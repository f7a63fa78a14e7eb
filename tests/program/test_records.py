"""The records that ``progress`` gets: one per weight, true to what is stored."""

import logging
from typing import Any

import pytest
from coreai.authoring import AIProgram

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.evaluation.weight_error import measure_error
from coreai_opt.program import quantize as quantize_module
from coreai_opt.program.weights import find_quantized, find_weights
from coreai_opt.reports.records import Status, WeightRecord

from ..support.programs import matmul_program, random_weight, text, two_layers, weight_values


def records_of(program: AIProgram, dtype: str = "int4", **options: Any) -> list[WeightRecord]:
    records: list[WeightRecord] = []
    quantize_weights(program, dtype, weight_num_threshold=0, progress=records.append, **options)
    return records


@pytest.mark.parametrize("num_threads", [1, 3])
def test_there_is_one_for_each_weight_in_order(num_threads: int) -> None:
    program = two_layers()
    records = records_of(program, num_threads=num_threads)
    weights = find_weights(program, 0)
    assert [r.name for r in records] == [w.name for w in weights]
    for record, weight in zip(records, weights, strict=True):
        assert (record.location, record.consumers) == (weight.location, weight.consumers)
        assert (record.shape, record.nbytes_before) == (weight.shape, weight.nbytes)
        assert (record.status, record.reason, record.rules) == (Status.QUANTIZED, "", ())
        assert record.format_before == weight.dtype.name
        assert record.seconds > 0


@pytest.mark.parametrize(
    ("dtype", "options", "scale_dtype", "block_size"),
    [
        ("int4", {"granularity": "per_block", "block_size": 16}, "float32", 16),
        ("uint4", {"qscheme": "asymmetric", "observer": "mse"}, "float32", 0),
        ("uint2", {"qscheme": "asymmetric", "granularity": "per_tensor"}, "float32", 0),
        ("fp8_e5m2", {"scale_dtype": "fp8_e8m0fnu"}, "float8_e8m0fnu", 0),
        ("fp4_e2m1fn", {"granularity": "per_block"}, "float8_e8m0fnu", 32),
    ],
)
def test_it_says_what_is_stored(
    dtype: str, options: dict[str, Any], scale_dtype: str, block_size: int
) -> None:
    weight = random_weight((64, 48))
    program = matmul_program(weight)
    (record,) = records_of(program, dtype, **options)
    quantized = quantize_weights(program, dtype, weight_num_threshold=0, **options)
    (stored,) = find_quantized(quantized)
    assert (record.format_after, record.scale_dtype) == (dtype, scale_dtype)
    assert record.nbytes_after == stored.nbytes
    assert record.qscheme == options.get("qscheme", "symmetric")
    assert record.granularity == options.get("granularity", "per_channel")
    assert (record.observer, record.block_size) == (options.get("observer", "minmax"), block_size)
    array = quantize_array(
        weight,
        dtype,
        block_sizes=stored.block_sizes,
        **{k: v for k, v in options.items() if k in {"qscheme", "observer", "scale_dtype"}},
    )
    assert record.error == measure_error(weight, array, num_threads=1)


@pytest.mark.parametrize("num_threads", [1, 2])
def test_a_weight_that_is_skipped(num_threads: int, caplog: pytest.LogCaptureFixture) -> None:
    program = two_layers()
    with caplog.at_level(logging.WARNING):
        # 4 does not divide the second weight's 6 input channels
        records = records_of(
            program, granularity="per_block", block_size=4, num_threads=num_threads
        )
    assert [r.status for r in records] == [Status.QUANTIZED, Status.SKIPPED]
    skipped = records[1]
    assert skipped.reason == "block size 4 does not divide axis 0: 6 input channels"
    assert skipped.format_after == skipped.format_before == "float32"
    assert skipped.nbytes_after == skipped.nbytes_before
    assert (skipped.granularity, skipped.scale_dtype, skipped.error) == ("", "", None)


def test_errors_are_measured_only_when_someone_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError

    monkeypatch.setattr(quantize_module, "measure_error", refuse)
    quantize_weights(two_layers(), "int8", weight_num_threshold=0)
    with pytest.raises(AssertionError):
        records_of(two_layers())


class StopError(Exception):
    """What the callback raises."""


@pytest.mark.parametrize("num_threads", [1, 2])
def test_what_the_callback_raises_ends_the_call(num_threads: int) -> None:
    program = two_layers()
    before = text(program)
    values = weight_values(quantize_weights(program, "int8", weight_num_threshold=0))

    def stop(record: WeightRecord) -> None:
        raise StopError

    for in_place in (False, True):
        with pytest.raises(StopError):
            quantize_weights(
                program,
                "int8",
                weight_num_threshold=0,
                in_place=in_place,
                num_threads=num_threads,
                progress=stop,
            )
        assert (text(program) == before) is not in_place
    program._module.verify()
    quantize_weights(program, "int8", weight_num_threshold=0, in_place=True)
    assert weight_values(program) == values


def test_a_program_without_weights_has_no_records() -> None:
    assert records_of(matmul_program(random_weight((2, 1))), granularity="per_tensor")
    records: list[WeightRecord] = []
    quantize_weights(two_layers(), "int8", weight_num_threshold=10**6, progress=records.append)
    assert records == []
