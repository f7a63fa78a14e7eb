"""Inputs to run programs on: made up, or samples that someone gives."""

import numpy as np
import pytest
from coreai.authoring import Value, broadcasting_add, cast, gather_nd
from coreai.authoring.constant import constant

from coreai_opt.exceptions import InputError
from coreai_opt.program.inputs import random_inputs, split_samples

from ..support.programs import F32, make_program, random_weight, two_layers

Outputs = tuple[Value, ...]


def test_ids_of_two_tables_are_rows_of_the_smaller() -> None:
    def body(ids: Value) -> Outputs:
        return tuple(gather_nd(constant(random_weight((n, 4))), ids) for n in (40, 7, 90))

    outputs = dict.fromkeys("abc", ((500, 4), F32))
    program = make_program(body, {"ids": ((500, 1), np.int32)}, outputs)
    assert set(random_inputs(program)["ids"].ravel().tolist()) == set(range(7))


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int16], ids=lambda d: d.__name__)
def test_ids_of_a_table_with_more_rows_than_they_can_count(dtype: type[np.integer]) -> None:
    """A table of 40,000 rows, of which ids of 8 or 16 bits reach the first."""

    def body(ids: Value) -> Outputs:
        return (gather_nd(constant(random_weight((40_000, 2))), cast(ids, np.int32)),)

    program = make_program(body, {"ids": ((5000, 1), dtype)}, {"y": ((5000, 2), F32)})
    ids = random_inputs(program)["ids"]
    assert ids.dtype == dtype
    assert ids.min() >= 0
    assert ids.max() > 0.9 * np.iinfo(dtype).max
    if dtype != np.int16:
        assert ids.max() == np.iinfo(dtype).max


def test_one_sample_or_several() -> None:
    program = two_layers()
    x = random_weight((5, 3, 8))
    samples, states = split_samples(program, {"x": x[0]})
    assert [sample["x"].tolist() for sample in samples] == [x[0].tolist()]
    samples, states = split_samples(program, {"x": x})
    assert [sample["x"].tolist() for sample in samples] == x.tolist()
    assert states == {}


def test_no_sample_is_refused() -> None:
    with pytest.raises(InputError, match="the same number of samples, at least 1"):
        split_samples(two_layers(), {"x": np.zeros((0, 3, 8), np.float32)})


def test_different_numbers_of_samples_are_refused() -> None:
    inputs = {"x": ((3, 8), F32), "y": ((3, 8), F32)}
    program = make_program(lambda x, y: (broadcasting_add(x, y),), inputs, {"z": ((3, 8), F32)})
    samples = {"x": np.ones((2, 3, 8), np.float32), "y": np.ones((4, 3, 8), np.float32)}
    with pytest.raises(InputError, match="the same number of samples, at least 1"):
        split_samples(program, samples)
