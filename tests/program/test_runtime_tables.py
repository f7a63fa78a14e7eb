"""On Core AI's runtime tables and sparse weights do what the float program of what they hold does.

Every form is tried on every kind of weight. What is looked up in a table of embeddings is compared
byte for byte: it is the decoded weight itself. Where there are zero points the runtime computes
scale * code - scale * zero point, which may differ in the last bit.
"""

from typing import Any

import numpy as np
import pytest

from coreai_opt.coreai_utils import dequantize_weights
from coreai_opt.program import ir
from coreai_opt.program.weights import find_quantized

from ..support.every_form import CASE_NAMES, CASES, compress, shapes_of
from ..support.every_kind import assert_equal_outputs, every_kind, feed, weights_of
from ..support.programs import run


def test_searched_scales_are_tried_with_both_signs() -> None:
    name = "searched block scales"
    compressed = compress(every_kind(weights_of(np.float32), np.float32), "table", name)
    scales = np.concatenate(
        [one.form.read(one.op).scale.ravel() for one in find_quantized(compressed)]
    )
    assert (scales < 0).any()
    assert (scales > 0).any()


@pytest.mark.parametrize(("what", "name", "dtype"), CASES, ids=CASE_NAMES)
def test_every_form_and_kind_of_weight(what: str, name: str, dtype: Any) -> None:
    shapes = shapes_of(dtype)
    compressed = compress(every_kind(weights_of(dtype, shapes), dtype), what, name)
    stored = find_quantized(compressed)
    assert len(stored) == len(shapes)
    assert all(one.format.startswith("lut" if what == "table" else "sparse") for one in stored)
    back = dequantize_weights(compressed)
    assert find_quantized(back) == []
    assert not ir.operations(back, ir.LUT_TO_DENSE, ir.SPARSE_TO_DENSE, ir.BLOCKWISE_SHIFT_SCALE)
    inputs = feed(dtype, shapes)
    got, want = run(compressed, inputs), run(back, inputs)
    if "uint8" not in name:
        assert got["gather"].tobytes() == want["gather"].tobytes()
    assert_equal_outputs(got, want)
