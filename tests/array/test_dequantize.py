"""Decoding: native and reference give the same bytes, whatever is decoded, into whatever array."""

import dataclasses
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coreai_opt import BackendMismatchError, QuantizedArray, _native, quantize_array
from coreai_opt.arrays import backends
from coreai_opt.arrays.threads import in_parallel
from coreai_opt.reference import FORMATS

from ..support.corpus import (
    BF16,
    F16,
    F32,
    LAYOUTS,
    SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Layout,
    Spec,
    bits_of,
    corpus,
    instruction_sets,
)
from ..support.stored_bytes import any_bytes, scale_dtypes
from ..support.strategies import layouts

STORED = Spec("int4").quantize(
    np.linspace(-1, 1, 8 * 64, dtype=F32).reshape(8, 64), (1, 32), "auto"
)


def same(got: Array, want: Array) -> bool:
    """Whether two arrays have the same bytes; any NaN is as good as another."""
    if (got.dtype, got.shape) != (want.dtype, want.shape):
        return False
    nan = np.isnan(got.astype(F32)) & np.isnan(want.astype(F32))
    return bool(((bits_of(got) == bits_of(want)) | nan).all())


def decode(stored: QuantizedArray, dtype: DTypeLike, backend: str, num_threads: int = 1) -> Array:
    out = np.full(stored.shape, 7, dtype)
    assert stored.dequantize(out=out, backend=backend, num_threads=num_threads) is out
    return out


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_native_decodes_what_was_quantized_as_the_reference_does(
    spec: Spec, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype in WEIGHT_DTYPES:
        stored = spec.quantize(next(corpus(layout, dtype)), layout.block_sizes, "native")
        want = stored.dequantize(backend="reference")
        assert (want.dtype, want.shape) == (dtype, layout.shape)
        for level in instruction_sets():
            monkeypatch.setenv("COREAI_OPT_ISA", level)
            assert stored.dequantize(backend="native").tobytes() == want.tobytes()


@pytest.mark.parametrize("layout", LAYOUTS[::3], ids=str)
@pytest.mark.parametrize("name", FORMATS)
def test_any_bytes_into_any_dtype(
    name: str, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    for dtype in WEIGHT_DTYPES:
        for scale_dtype in scale_dtypes(FORMATS[name], dtype):
            stored = any_bytes(layout, name, scale_dtype, dtype)
            for target in WEIGHT_DTYPES:
                want = decode(stored, target, "reference")
                for level in instruction_sets():
                    monkeypatch.setenv("COREAI_OPT_ISA", level)
                    assert same(decode(stored, target, "native"), want), (level, target)


@settings(max_examples=300, deadline=None)
@given(
    layout=layouts(),
    name=st.sampled_from(list(FORMATS)),
    dtype=st.sampled_from(WEIGHT_DTYPES),
    target=st.sampled_from(WEIGHT_DTYPES),
    pick=st.integers(0, 1),
)
def test_any_layout(
    layout: Layout, name: str, dtype: DTypeLike, target: DTypeLike, pick: int
) -> None:
    stored = any_bytes(layout, name, scale_dtypes(FORMATS[name], dtype)[-pick], dtype)
    want = decode(stored, target, "reference")
    for level in instruction_sets():
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("COREAI_OPT_ISA", level)
            assert same(decode(stored, target, "native"), want)


@pytest.mark.parametrize("name", ["fp4_e2m1fn", "fp8_e4m3fn", "fp8_e5m2"])
@pytest.mark.parametrize("dtype", WEIGHT_DTYPES, ids=str)
def test_every_code_is_the_number_that_its_format_says(
    name: str, dtype: DTypeLike, backend: str
) -> None:
    """With the scale 1; the numbers are those of ml_dtypes."""
    format = FORMATS[name]
    codes = np.arange(1 << format.bits, dtype=np.uint8)
    packed = codes if format.bits == 8 else codes[::2] | codes[1::2] << 4
    stored = QuantizedArray(
        packed=packed,
        shape=codes.shape,
        dtype=STORED.dtype.__class__(name),
        weight_dtype=dtype,
        scale=np.ones(1, ml_dtypes.float8_e8m0fnu),
        zero_point=np.zeros(1, format.code_dtype),
    )
    assert same(stored.dequantize(backend=backend), codes.view(format.code_dtype).astype(dtype))


@pytest.mark.parametrize("dtype", [F16, BF16], ids=str)
def test_float32_is_rounded_to_nearest_even(
    dtype: DTypeLike, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Scales of any bits, the code 1: what is left is the conversion of binary32."""
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 1 << 32, 20_000, dtype=np.uint32)
    halfway = np.uint32(1 << (12 if dtype == F16 else 15))  # of the last place; ties among them
    bits[::2] = bits[::2] // halfway * halfway
    bits[::5] = (bits[::5] & 0x81FFFFFF) + (rng.integers(0x33, 0x48, 4_000).astype("u4") << 24)
    bits[:2] = 0x7FFFFFFF, 0xFFFFFFFF  # NaNs that rounding up would carry into the sign
    stored = QuantizedArray(
        packed=np.ones(bits.size, np.uint8),
        shape=bits.shape,
        dtype=quantize_array(np.ones(1, F32), "int8", block_sizes=[0]).dtype,
        weight_dtype=F32,
        scale=bits.view(F32),
        zero_point=np.zeros(bits.size, np.int8),
    )
    with np.errstate(all="ignore"):
        want = bits.view(F32).astype(dtype)
    for level in instruction_sets() if backend == "native" else ["portable"]:
        monkeypatch.setenv("COREAI_OPT_ISA", level)
        assert same(decode(stored, dtype, backend), want)


@pytest.mark.parametrize("layout", [(37, 129), (5,), (33, 27, 5)], ids=str)
@pytest.mark.parametrize("name", ["int2", "uint4", "fp8_e5m2"])
def test_threads(name: str, layout: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)
    parts = []

    def recording(work: Any, bounds: list[int]) -> Any:
        parts.append(len(bounds) - 1)
        return in_parallel(work, bounds)

    monkeypatch.setattr(_native, "in_parallel", recording)
    rest = len(layout) - 1
    for sizes in [(0,) * len(layout), (1,) * rest + (0,), (0, *(1,) * rest)]:
        stored = any_bytes(Layout(layout, sizes), name, F16, F16)
        want = decode(stored, F16, "reference")
        for threads in (1, 2, 3, 5):
            assert same(decode(stored, F16, "native", threads), want)
    assert parts == [1, 2, 3, 5] * 3


def test_out_may_lie_anywhere(backend: str) -> None:
    memory = np.zeros(STORED.nbytes + 8 * 64 * 4 + 1, np.uint8)
    out = memory[1 : 1 + 8 * 64 * 4].view(F32).reshape(8, 64)
    STORED.dequantize(out=out, backend=backend)
    assert out.tobytes() == STORED.dequantize(backend="reference").tobytes()
    assert not memory[1 + out.nbytes :].any()


def test_stored_arrays_in_any_memory_layout(backend: str) -> None:
    view = dataclasses.replace(
        STORED,
        packed=np.repeat(STORED.packed, 2)[::2],
        scale=np.asfortranarray(STORED.scale),
        zero_point=STORED.zero_point[::-1][::-1],
    )
    assert view.dequantize(backend=backend).tobytes() == STORED.dequantize().tobytes()


OVERLAPPING = np.zeros((8, 64), F16)


@pytest.mark.parametrize(
    ("out", "error", "message"),
    [
        ([0.0], TypeError, "out must be a numpy array; got list"),
        (np.zeros((8, 64)), TypeError, "out must be of one of the dtypes float32, .*float64"),
        (np.zeros((8, 64), ">f4"), TypeError, "out must be .*; got >f4"),
        (np.zeros((64, 8), F32), ValueError, r"out must be of shape \(8, 64\); got \(64, 8\)"),
        (np.zeros((64, 8), F32).T, ValueError, "out must be C-contiguous and writeable"),
        (np.broadcast_to(np.zeros(1, F32), (8, 64)), ValueError, "C-contiguous and writeable"),
        (OVERLAPPING, ValueError, "out must not share memory"),
    ],
)  # fmt: skip
def test_bad_out(out: Any, error: type[Exception], message: str, backend: str) -> None:
    stored = dataclasses.replace(STORED, packed=OVERLAPPING.view(np.uint8).reshape(-1)[:256])
    with pytest.raises(error, match=message):
        stored.dequantize(out=out, backend=backend)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": STORED.scale[:3]}, r"scale must have a shape that divides \(8, 64\); got \(3,"),
        ({"scale": STORED.scale[0]}, r"scale must have a shape that divides \(8, 64\); got \(2,\)"),
        ({"scale": STORED.scale[:0]}, "scale must have a shape that divides"),
        ({"scale": STORED.scale.astype(F16)}, "scale must be float32 .*; got float16"),
        ({"scale": STORED.scale.astype(">f4")}, "scale must be float32 .*; got >f4"),
        ({"zero_point": STORED.zero_point[:4]}, r"zero_point must be int8 of shape \(8, 2\)"),
        ({"zero_point": STORED.zero_point.view(np.uint8)}, "zero_point must be int8.*got uint8"),
        ({"packed": STORED.packed[:-1]}, r"packed must be uint8 of shape \(256,\).*\(255,\)"),
        ({"packed": STORED.packed.view(np.int8)}, "packed must be uint8"),
    ],
)  # fmt: skip
def test_attributes_that_do_not_fit(change: dict[str, Any], message: str, backend: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(STORED, **change).dequantize(backend=backend)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match=r"backend must be one of .*'fast'"):
        STORED.dequantize(backend="fast")
    with pytest.raises(ValueError, match="num_threads must be an int >= 1 or None; got 0"):
        STORED.dequantize(num_threads=0)


@pytest.mark.parametrize(
    ("backend", "run"),
    [("auto", ["native"]), ("native", ["native"]), ("reference", ["reference"]),
     ("validate", ["native", "reference"])],
)  # fmt: skip
def test_which_implementations_run(
    backend: str, run: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    called: list[str] = []
    implementations = {"native": backends.NativeBackend, "reference": backends.ReferenceBackend}
    for name, implementation in implementations.items():
        honest = implementation.decode

        def spy(*args: Any, name: str = name, honest: Any = honest) -> None:
            called.append(name)
            honest(*args)

        monkeypatch.setattr(implementation, "decode", spy)
    STORED.dequantize(backend=backend)
    assert called == run


def test_validate_reports_the_first_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    honest = backends.NativeBackend.decode

    def corrupt(self: Any, stored: Any, format: Any, out: Array, num_threads: int) -> None:
        honest(self, stored, format, out, num_threads)
        out[3, 9] = -out[3, 9]
        out[5, 1] = np.nan

    want = STORED.dequantize()[3, 9]
    monkeypatch.setattr(backends.NativeBackend, "decode", corrupt)
    with pytest.raises(BackendMismatchError) as caught:
        STORED.dequantize(backend="validate")
    for text in ("float32 decoded from int4", "index (3, 9)", f"native {-want}, reference {want}"):
        assert text in str(caught.value)


def test_validate_takes_any_nan() -> None:
    stored = dataclasses.replace(STORED, scale=np.full_like(STORED.scale, np.nan))
    assert np.isnan(stored.dequantize(backend="validate")).all()
