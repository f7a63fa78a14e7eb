"""Scales by themselves, and codes from given scales and zero points: by every backend."""

from typing import Any

import numpy as np
import pytest

from coreai_opt import BackendMismatchError, _native
from coreai_opt.arrays import backends
from coreai_opt.arrays.backends import Backend, parse_backend
from coreai_opt.settings.settings import DEFAULTS
from coreai_opt.settings.spec import QuantizationSpec, parse_spec

from ..support.corpus import (
    MSE_SPECS,
    SPECS,
    WEIGHT_DTYPES,
    Layout,
    Spec,
    instruction_sets,
)

LAYOUTS = (
    Layout((37,), (0,)),
    Layout((5, 7), (1, 0)),
    Layout((5, 66), (1, 33)),
    Layout((3, 64), (1, 32)),
    Layout((13, 17), (0, 0)),
    Layout((6, 35), (3, 1)),
    Layout((3, 8, 5), (1, 4, 1)),
    Layout((6, 5, 2, 2), (0, 1, 0, 0)),
)


def parse(spec: Spec) -> QuantizationSpec:
    said = {name: value for name, value in spec._asdict().items() if value is not None}
    return parse_spec(DEFAULTS.merge(type(DEFAULTS)(**said)))


def random_weight(shape: tuple[int, ...], dtype: Any) -> Any:
    return np.random.default_rng(len(shape)).standard_normal(shape).astype(dtype)


def equal(ours: Any, theirs: Any) -> bool:
    same = (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    return same and ours.tobytes() == theirs.tobytes()


@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
@pytest.mark.parametrize("spec", [*SPECS, *MSE_SPECS], ids=str)
def test_native_gives_the_bytes_of_the_reference(spec: Spec, dtype: Any) -> None:
    """Encoding with the scales that are found gives the codes of quantizing."""
    native, reference, parsed = parse_backend("native"), parse_backend("reference"), parse(spec)
    for layout in LAYOUTS:
        weight = random_weight(layout.shape, dtype)
        packed, scale, zero_point = reference.quantize(weight, parsed, layout.block_sizes, None, 1)
        for backend in (native, reference):
            found = backend.find_scales(weight, parsed, layout.block_sizes, None, 1)
            assert all(map(equal, found, (scale, zero_point))), layout
            assert equal(backend.encode(weight, found, parsed, 1), packed), layout


@pytest.mark.parametrize("level", instruction_sets())
@pytest.mark.parametrize("num_threads", [1, 2, 3])
@pytest.mark.parametrize("spec", [SPECS[0], SPECS[9], MSE_SPECS[2], SPECS[-3]], ids=str)
def test_threads_and_instruction_sets_change_nothing(
    spec: Spec, num_threads: int, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    monkeypatch.setenv("COREAI_OPT_ISA", level)
    native, reference, parsed = parse_backend("native"), parse_backend("reference"), parse(spec)
    for layout in LAYOUTS:
        weight = random_weight(layout.shape, np.float32)
        found = reference.find_scales(weight, parsed, layout.block_sizes, None, 1)
        expected = reference.encode(weight, found, parsed, 1)
        assert equal(native.encode(weight, found, parsed, num_threads), expected), layout


@pytest.mark.parametrize("backend", ["native", "reference", "validate"])
def test_scales_may_come_from_elsewhere(backend: str) -> None:
    """Twice the scale is half of the codes, and weights beyond them are clipped."""
    weight = np.array([[-6.0, 2, 4, 30], [1, 2, 3, 5]], np.float32)
    parameters = np.array([[2], [0.5]], np.float32), np.zeros((2, 1), np.int8)
    parsed = parse(Spec("int4"))
    packed = parse_backend(backend).encode(weight, parameters, parsed, 1)
    # -3, 1, 2, 7 (15 is clipped), 2, 4, 6, 7 (10 is clipped)
    assert packed.tobytes() == bytes([0x1D, 0x72, 0x42, 0x76])


@pytest.mark.parametrize("backend", ["native", "reference", "validate"])
def test_zero_points_may_come_from_elsewhere(backend: str) -> None:
    weight = np.array([[-1.0, 0, 1, 9]], np.float32)
    parameters = np.array([[1]], np.float32), np.array([[5]], np.uint8)
    parsed = parse(Spec("uint4", "asymmetric"))
    packed = parse_backend(backend).encode(weight, parameters, parsed, 1)
    assert packed.tobytes() == bytes([0x54, 0xE6])  # 4, 5, 6, 14


@pytest.mark.parametrize("level", instruction_sets())
@pytest.mark.parametrize("spec", [s for s in SPECS if "int" in s.dtype], ids=str)
def test_weights_far_beyond_a_scale_from_elsewhere_are_clipped(
    spec: Spec, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No 32-bit integer holds some of their codes. Rows have steps and a rest."""
    monkeypatch.setenv("COREAI_OPT_ISA", level)
    native, reference, parsed = parse_backend("native"), parse_backend("reference"), parse(spec)
    far = np.ldexp(np.float32([1, 1.5, 1.75]), np.arange(18, 128)[:, None]).astype(np.float32)
    near_middle = np.nextafter(np.float32(3 << 22), np.float32([0, np.inf]))
    weight = np.concatenate([far.ravel(), near_middle])
    weight = np.stack([weight, -weight])
    parameters = (
        np.ones((2, 1), np.float32),
        reference.find_scales(weight, parsed, (1, 0), None, 1)[1],
    )
    expected = reference.encode(weight, parameters, parsed, 1)
    assert equal(native.encode(weight, parameters, parsed, 1), expected)


def test_importances_count_for_scales() -> None:
    parsed, weight = parse(Spec("int4", observer="mse")), random_weight((4, 32), np.float32)
    importance = np.square(random_weight((1, 32), np.float32))
    validate = parse_backend("validate")
    weighed = validate.find_scales(weight, parsed, (1, 0), importance, 1)
    alike = validate.find_scales(weight, parsed, (1, 0), None, 1)
    assert not equal(weighed[0], alike[0])


@pytest.mark.parametrize("read_only", [False, True])
def test_inputs_may_be_read_only_and_are_left_alone(read_only: bool) -> None:
    parsed, weight = parse(Spec("int4")), random_weight((4, 32), np.float32)
    native = parse_backend("native")
    parameters = native.find_scales(weight, parsed, (1, 0), None, 1)
    before = [array.tobytes() for array in (weight, *parameters)]
    for array in (weight, *parameters):
        array.flags.writeable = not read_only
    native.encode(weight, parameters, parsed, 1)
    assert [array.tobytes() for array in (weight, *parameters)] == before


def corrupt(monkeypatch: pytest.MonkeyPatch, name: str, part: int | None) -> None:
    """Flip a bit in what a method of the native backend returns."""
    honest = getattr(backends.NativeBackend, name)

    def wrong(self: Backend, *arguments: Any) -> Any:
        result = honest(self, *arguments)
        array = result if part is None else result[part]
        array.view(np.uint8).reshape(-1)[0] ^= 1
        return result

    monkeypatch.setattr(backends.NativeBackend, name, wrong)


@pytest.mark.parametrize(
    ("name", "part", "text"),
    [
        ("find_scales", 0, "scale of a float32 weight of shape (4, 32) as int4"),
        ("find_scales", 1, "zero point of a float32 weight of shape (4, 32) as int4"),
        ("encode", None, "codes of a float32 weight of shape (4, 32) as int4"),
    ],
)
def test_validate_reports_what_differs(
    name: str, part: int | None, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    parsed, weight = parse(Spec("int4")), random_weight((4, 32), np.float32)
    validate = parse_backend("validate")
    parameters = validate.find_scales(weight, parsed, (1, 0), None, 1)
    arguments = {
        "encode": (weight, parameters, parsed, 1),
        "find_scales": (weight, parsed, (1, 0), None, 1),
    }
    corrupt(monkeypatch, name, part)
    with pytest.raises(BackendMismatchError) as caught:
        getattr(validate, name)(*arguments[name])
    assert str(caught.value).startswith(text)
