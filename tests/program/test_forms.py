"""Stored forms: which one an array or an op has, and that programs ask it."""

from typing import Any

import numpy as np
import pytest

from coreai_opt import quantize_array
from coreai_opt.coreai_utils import quantize_weights
from coreai_opt.program import forms, ir
from coreai_opt.program.forms import FORMS, blockwise, form_of_array, form_of_op
from coreai_opt.program.forms.form import Form
from coreai_opt.program.forms.replacing import replace_constants
from coreai_opt.program.weights import find_quantized, find_weights

from ..support.programs import two_layers


class Plain:
    """An array that is stored as it is."""

    def __init__(self, values: Any) -> None:
        self.values = values


class PlainForm:
    """The form of that, so far as writing needs it."""

    def stores(self, array: object) -> bool:
        return isinstance(array, Plain)

    def build(self, build: ir.Builder, array: Plain) -> ir.Value:
        return build.constant(array.values, array.values.shape, "f32")


def test_each_form_has_all_that_a_form_has() -> None:
    functions = [name for name in vars(Form) if not name.startswith("_")]
    assert functions == [
        "stores", "decodes", "describe", "read", "build", "saved_bytes", "label"
    ]  # fmt: skip
    assert all(callable(getattr(form, name)) for form in FORMS for name in functions)


def test_arrays_and_ops_have_the_form_that_takes_them() -> None:
    array = quantize_array(np.ones((4, 4), np.float32), "int4", block_sizes=(1, 0))
    assert form_of_array(array) is blockwise
    with pytest.raises(TypeError, match="no form stores a Plain"):
        form_of_array(Plain(None))
    program = quantize_weights(two_layers(), "int4", weight_num_threshold=0)
    decoders = ir.operations(program, ir.BLOCKWISE_SHIFT_SCALE)
    assert {form_of_op(op) for op in decoders} == {blockwise}
    assert {form_of_op(op) for op in ir.operations(program, ir.CONSTANT)} == {None}


def test_a_constant_is_replaced_by_what_the_form_of_its_array_builds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(forms, "FORMS", (blockwise, PlainForm()))
    program = two_layers()
    weight = find_weights(program, 0)[0]
    shape, name = weight.shape, weight.name
    replace_constants(weight.ops, Plain(np.full(shape, 7, np.float32)))
    program._module.verify()
    (same,) = (other for other in find_weights(program, 0) if other.name == name)
    assert (ir.read_constant(same.op) == 7).all()


def test_what_is_read_is_what_was_written() -> None:
    program = two_layers()
    weights = find_weights(program, 0)
    arrays = [ir.read_constant(weight.op) for weight in weights]
    written = [quantize_array(array, "uint4", block_sizes=(1, 0)) for array in arrays]
    quantized = quantize_weights(
        program, "uint4", granularity="per_channel", weight_num_threshold=0, in_place=False
    )
    for weight, array in zip(find_quantized(quantized), written, strict=True):
        read = weight.form.read(weight.op)
        if weight.block_sizes[0] == 1:  # the others' output channels are along the last axis
            assert read.packed.tobytes() == array.packed.tobytes()
            assert read.scale.tobytes() == array.scale.tobytes()
        assert weight.form.saved_bytes(read) == weight.nbytes
        assert weight.form.label(read) == (weight.format, weight.scale_dtype)
