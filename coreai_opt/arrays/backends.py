"""The two implementations behind one call, and the validator that runs both.

A backend is a function ``(weight, spec, block_sizes, importance, num_threads) -> (packed, scale,
zero_point)`` on checked arguments and C-contiguous arrays; what it returns is described in
``reference/quantize.py``. A decoder is a function ``(quantized, format, out, num_threads)``
that decodes what a backend returned into ``out``; all are checked and C-contiguous.
"""

import logging
import os
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt import reference
from coreai_opt.exceptions import (
    ArgumentError,
    ArgumentTypeError,
    BackendMismatchError,
    NotInstalledError,
)
from coreai_opt.reference import Format
from coreai_opt.settings.spec import QuantizationSpec

try:
    from coreai_opt import _native
except ImportError as error:  # not built, or built for another Python
    _native = None  # type: ignore[assignment]
    _why_not_native: ImportError | None = error
else:
    _why_not_native = None

logger = logging.getLogger("coreai_opt")

Array = npt.NDArray[Any]
Quantized = tuple[npt.NDArray[np.uint8], Array, Array]
Importance = npt.NDArray[np.float32] | None
Backend = Callable[[Array, QuantizationSpec, tuple[int, ...], Importance, int], Quantized]
Decoder = Callable[[Quantized, Format, Array, int], None]

ENVIRONMENT_VARIABLE = "COREAI_OPT_BACKEND"
"""Names the backend that "auto" stands for."""

BACKENDS = ("auto", "native", "reference", "validate")


def parse_backend(backend: object) -> Backend:
    """Return the function that quantizes behind a backend's name.

    Raises:
        ArgumentTypeError, ArgumentError, NotInstalledError: see :func:`choose_backend`.
    """
    implementations = {"native": _run_native, "reference": _reference, "validate": _validate}
    return implementations[choose_backend(backend)]


def parse_decoder(backend: object) -> Decoder:
    """Return the function that decodes behind a backend's name.

    Raises:
        ArgumentTypeError, ArgumentError, NotInstalledError: see :func:`choose_backend`.
    """
    implementations = {
        "native": _decode_native,
        "reference": _decode_reference,
        "validate": _decode_validate,
    }
    return implementations[choose_backend(backend)]


def choose_backend(backend: object) -> str:
    """Return which of "native", "reference" and "validate" a backend's name stands for now.

    Raises:
        ArgumentTypeError, ArgumentError: ``backend`` (or the environment variable) names none, or
            ``COREAI_OPT_ISA`` no instruction set.
        NotInstalledError: it needs the native module, which did not load.
    """
    name = _parse_name("backend", backend)
    if name == "auto":
        name = _parse_name(ENVIRONMENT_VARIABLE, os.environ.get(ENVIRONMENT_VARIABLE) or "auto")
    if name == "auto" and _native is None:
        _warn_native_missing()
        return "reference"
    if name == "reference":
        return name
    if _native is None:
        raise NotInstalledError(
            f"backend {name!r} needs the native module, which did not load: {_why_not_native}"
        )
    try:
        _native.level()
    except ValueError as error:  # now, not for each weight
        raise ArgumentError(_native.LEVEL_VARIABLE, str(error)) from None
    return "native" if name == "auto" else name


def _parse_name(argument: str, value: object) -> str:
    message = f"{argument} must be one of {', '.join(map(repr, BACKENDS))}; got {value!r}"
    if not isinstance(value, str):
        raise ArgumentTypeError(argument, message)
    if value not in BACKENDS:
        raise ArgumentError(argument, message)
    return value


@cache  # once per process
def _warn_native_missing() -> None:
    logger.warning(
        "the native module did not load (%s); using the numpy reference, which is slow",
        _why_not_native,
    )


def _reference(
    weight: Array,
    spec: QuantizationSpec,
    block_sizes: tuple[int, ...],
    importance: Importance,
    num_threads: int,
) -> Quantized:
    return reference.quantize(
        weight,
        spec.format,
        symmetric=spec.symmetric,
        block_sizes=block_sizes,
        e8m0_scale=spec.e8m0_scale,
        observer=spec.observer,
        importance=importance,
    )


def _run_native(
    weight: Array,
    spec: QuantizationSpec,
    block_sizes: tuple[int, ...],
    importance: Importance,
    num_threads: int,
) -> Quantized:
    return _native.quantize(
        weight,
        spec.format,
        symmetric=spec.symmetric,
        block_sizes=block_sizes,
        e8m0_scale=spec.e8m0_scale,
        observer=spec.observer,
        importance=importance,
        num_threads=num_threads,
    )


def _validate(
    weight: Array,
    spec: QuantizationSpec,
    block_sizes: tuple[int, ...],
    importance: Importance,
    num_threads: int,
) -> Quantized:
    result = _run_native(weight, spec, block_sizes, importance, num_threads)
    expected = _reference(weight, spec, block_sizes, importance, num_threads)
    what = f"{weight.dtype} weight of shape {weight.shape} as {spec.format.name}"
    codes = (
        reference.unpack(packed, spec.format, weight.shape) for packed in (result[0], expected[0])
    )
    compare_bytes(f"codes of a {what}", *codes)
    for part, got, want in zip(
        ("packed bytes", "scale", "zero point"), result, expected, strict=True
    ):
        compare_bytes(f"{part} of a {what}", got, want)
    return result


def _decode_reference(stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
    out[...] = reference.dequantize(*stored, format, out.shape, out.dtype)


def _decode_native(stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
    _native.dequantize(*stored, format, out, num_threads=num_threads)


def _decode_validate(stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
    expected = np.empty_like(out)
    _decode_native(stored, format, out, num_threads)
    _decode_reference(stored, format, expected, num_threads)
    # Only bytes that quantize() never writes decode to NaN, and which NaN is not specified.
    unspecified = np.isnan(out) & np.isnan(expected)
    expected[unspecified] = out[unspecified]
    compare_bytes(f"{out.dtype} decoded from {format.name} of shape {out.shape}", out, expected)


def compare_bytes(what: str, got: Array, want: Array) -> None:
    """Raise BackendMismatchError, naming the first difference, unless arrays are the same bytes."""
    if (got.shape, got.dtype) != (want.shape, want.dtype):
        raise BackendMismatchError(
            f"{what}: native has {got.dtype}{got.shape}, reference {want.dtype}{want.shape}"
        )
    # By bytes: equal zeros of different sign are a difference too.
    differs = np.ascontiguousarray(got).view(np.uint8) != np.ascontiguousarray(want).view(np.uint8)
    if differs.any():
        flat = int(np.argmax(differs)) // got.itemsize
        index = tuple(int(i) for i in np.unravel_index(flat, got.shape))
        raise BackendMismatchError(
            f"{what} differ first at index {index}: native {got[index]}, reference {want[index]}"
        )
