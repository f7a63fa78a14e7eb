"""The two implementations behind one protocol, and the validator that runs both.

All that a backend is given has been checked, and arrays are C-contiguous.
"""

import logging
import os
from collections.abc import Sequence
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from coreai_opt import reference
from coreai_opt.arrays.arithmetic import check_arithmetic
from coreai_opt.arrays.palette_spec import PaletteSpec
from coreai_opt.exceptions import (
    ArgumentError,
    BackendMismatchError,
    NotInstalledError,
)
from coreai_opt.reference import Cluster, Format, Part
from coreai_opt.reference.errors import Differences
from coreai_opt.settings.arguments import parse_choice
from coreai_opt.settings.spec import QuantizationSpec

try:
    from coreai_opt import _native
    from coreai_opt.arrays import native_tables
except ImportError as error:  # not built, or built for another Python
    _native = None  # type: ignore[assignment]  # what follows asks for None
    _why_not_native: ImportError | None = error
else:
    _why_not_native = None

logger = logging.getLogger("coreai_opt")

Array = npt.NDArray[Any]
Packed = npt.NDArray[np.uint8]
Parameters = tuple[Array, Array]
"""The scale and the zero point of each block, see ``reference/quantize.py``."""
Quantized = tuple[Packed, Array, Array]
"""Packed codes, then the scale and the zero point of each block."""
Importance = npt.NDArray[np.float32] | None


class Backend(Protocol):
    """An implementation of the contract, whose results ``reference/quantize.py`` describes."""

    def quantize(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Quantized:
        """Find scales and zero points, and encode with them."""

    def find_scales(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Parameters:
        """Find scales and zero points."""

    def encode(
        self, weight: Array, parameters: Parameters, spec: QuantizationSpec, num_threads: int
    ) -> Packed:
        """Round a finite weight to nearest with given parameters, and pack the codes."""

    def encode_with_feedback(
        self,
        weight: Array,
        parameters: Parameters,
        spec: QuantizationSpec,
        parts: Sequence[Part],
        num_threads: int,
    ) -> Packed:
        """Round a finite weight with feedback and given parameters, and pack the codes."""

    def decode(self, stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
        """Decode into ``out``."""

    def find_tables(
        self, weight: Array, spec: PaletteSpec, importance: Importance, num_threads: int
    ) -> Array:
        """Find the best look-up table of each block, see ``reference/tables.py``.

        With a cluster find one of vectors, see ``reference/table_vectors.py``.
        """

    def fit_scales(
        self,
        weight: Array,
        tables: Array,
        blocks: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Array:
        """Find the scale of each block for given tables, see ``reference/table_scales.py``."""

    def encode_table(
        self, weight: Array, tables: Array, cluster: Cluster | None, num_threads: int
    ) -> Packed:
        """Find the nearest entries of tables, and pack their indices.

        Tables ascend, unless they are of vectors.
        """

    def decode_table(
        self,
        packed: Packed,
        tables: Array,
        out: Array,
        cluster: Cluster | None,
        num_threads: int,
    ) -> None:
        """Decode indices into ``out``."""

    def sum_squares(self, numbers: Array) -> float:
        """Add up squares of a flat array, see ``reference/errors.py``."""

    def compare(self, weight: Array, decoded: Array, mean_square: float) -> Differences:
        """Compare flat arrays of one dtype, see ``reference/errors.py``."""


BACKEND_VARIABLE = "COREAI_OPT_BACKEND"
"""Names the backend that "auto" stands for."""

BACKENDS = ("auto", "native", "reference", "validate")


def parse_backend(backend: object) -> Backend:
    """Return the backend of this name.

    Raises:
        ArgumentTypeError, ArgumentError: ``backend`` (or the environment variable) names none, or
            ``COREAI_OPT_ISA`` no instruction set.
        NotInstalledError: it needs the native module, which did not load.
        UnusableArithmeticError: no backend can compute in this thread.
    """
    chosen = _BACKENDS[_choose(backend)]
    check_arithmetic()
    return chosen


def _choose(backend: object) -> str:
    """Return which of "native", "reference" and "validate" a backend's name stands for now."""
    name = parse_choice("backend", backend, BACKENDS)
    if name == "auto":
        default = os.environ.get(BACKEND_VARIABLE) or "auto"
        name = parse_choice(BACKEND_VARIABLE, default, BACKENDS)
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


@cache  # once per process
def _warn_native_missing() -> None:
    logger.warning(
        "the native module did not load (%s); using the numpy reference, which is slow",
        _why_not_native,
    )


class ReferenceBackend:
    """The numpy reference: slow, and what the others are checked against."""

    def quantize(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Quantized:
        """See :class:`Backend`."""
        return reference.quantize(
            weight,
            spec.format,
            symmetric=spec.symmetric,
            block_sizes=block_sizes,
            e8m0_scale=spec.e8m0_scale,
            observer=spec.observer,
            importance=importance,
        )

    def find_scales(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Parameters:
        """See :class:`Backend`."""
        return reference.find_scales(
            weight,
            spec.format,
            symmetric=spec.symmetric,
            block_sizes=block_sizes,
            e8m0_scale=spec.e8m0_scale,
            observer=spec.observer,
            importance=importance,
        )

    def encode(
        self, weight: Array, parameters: Parameters, spec: QuantizationSpec, num_threads: int
    ) -> Packed:
        """See :class:`Backend`."""
        return reference.encode(
            weight, *parameters, spec.format, symmetric=spec.symmetric, observer=spec.observer
        )

    def encode_with_feedback(
        self,
        weight: Array,
        parameters: Parameters,
        spec: QuantizationSpec,
        parts: Sequence[Part],
        num_threads: int,
    ) -> Packed:
        """See :class:`Backend`."""
        return reference.encode_with_feedback(
            weight,
            *parameters,
            spec.format,
            symmetric=spec.symmetric,
            observer=spec.observer,
            parts=parts,
        )

    def decode(self, stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
        """See :class:`Backend`."""
        out[...] = reference.dequantize(*stored, format, out.shape, out.dtype)

    def find_tables(
        self, weight: Array, spec: PaletteSpec, importance: Importance, num_threads: int
    ) -> Array:
        """See :class:`Backend`."""
        table = weight, spec.bits, spec.block_sizes
        if spec.cluster is None:
            return reference.tables.find_tables(*table, importance)
        return reference.table_vectors.find_tables(*table, spec.cluster, importance)

    def fit_scales(
        self,
        weight: Array,
        tables: Array,
        blocks: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Array:
        """See :class:`Backend`."""
        return reference.table_scales.fit_scales(weight, tables, blocks, importance)

    def encode_table(
        self, weight: Array, tables: Array, cluster: Cluster | None, num_threads: int
    ) -> Packed:
        """See :class:`Backend`."""
        if cluster is None:
            return reference.tables.encode(weight, tables)
        return reference.table_vectors.encode(weight, tables, cluster.axis)

    def decode_table(
        self,
        packed: Packed,
        tables: Array,
        out: Array,
        cluster: Cluster | None,
        num_threads: int,
    ) -> None:
        """See :class:`Backend`."""
        if cluster is None:
            out[...] = reference.tables.decode(packed, tables, out.shape, out.dtype)
        else:
            out[...] = reference.table_vectors.decode(
                packed, tables, cluster.axis, out.shape, out.dtype
            )

    def sum_squares(self, numbers: Array) -> float:
        """See :class:`Backend`."""
        return reference.errors.sum_squares(numbers)

    def compare(self, weight: Array, decoded: Array, mean_square: float) -> Differences:
        """See :class:`Backend`."""
        return reference.errors.compare(weight, decoded, mean_square)


class NativeBackend:
    """The C kernels."""

    def quantize(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Quantized:
        """See :class:`Backend`."""
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

    def find_scales(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Parameters:
        """See :class:`Backend`. C encodes each tile as it finds its scales; codes are dropped."""
        _, scale, zero_point = self.quantize(weight, spec, block_sizes, importance, num_threads)
        return scale.copy(), zero_point  # the scale shares memory with the codes

    def encode(
        self, weight: Array, parameters: Parameters, spec: QuantizationSpec, num_threads: int
    ) -> Packed:
        """See :class:`Backend`."""
        return _native.encode(
            weight,
            *parameters,
            spec.format,
            symmetric=spec.symmetric,
            observer=spec.observer,
            num_threads=num_threads,
        )

    def encode_with_feedback(
        self,
        weight: Array,
        parameters: Parameters,
        spec: QuantizationSpec,
        parts: Sequence[Part],
        num_threads: int,
    ) -> Packed:
        """See :class:`Backend`."""
        return _native.encode_with_feedback(
            weight,
            *parameters,
            spec.format,
            symmetric=spec.symmetric,
            observer=spec.observer,
            parts=parts,
            num_threads=num_threads,
        )

    def decode(self, stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
        """See :class:`Backend`."""
        _native.dequantize(*stored, format, out, num_threads=num_threads)

    def find_tables(
        self, weight: Array, spec: PaletteSpec, importance: Importance, num_threads: int
    ) -> Array:
        """See :class:`Backend`."""
        return native_tables.find_tables(
            weight,
            spec.bits,
            spec.block_sizes,
            cluster=spec.cluster,
            importance=importance,
            num_threads=num_threads,
        )

    def fit_scales(
        self,
        weight: Array,
        tables: Array,
        blocks: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Array:
        """See :class:`Backend`."""
        return native_tables.fit_scales(
            weight, tables, blocks, importance=importance, num_threads=num_threads
        )

    def encode_table(
        self, weight: Array, tables: Array, cluster: Cluster | None, num_threads: int
    ) -> Packed:
        """See :class:`Backend`."""
        return native_tables.encode_table(weight, tables, cluster=cluster, num_threads=num_threads)

    def decode_table(
        self,
        packed: Packed,
        tables: Array,
        out: Array,
        cluster: Cluster | None,
        num_threads: int,
    ) -> None:
        """See :class:`Backend`."""
        native_tables.decode_table(packed, tables, out, cluster=cluster, num_threads=num_threads)

    def sum_squares(self, numbers: Array) -> float:
        """See :class:`Backend`."""
        return _native.sum_squares(numbers)

    def compare(self, weight: Array, decoded: Array, mean_square: float) -> Differences:
        """See :class:`Backend`."""
        return Differences(*_native.compare(weight, decoded, mean_square))


class ValidatingBackend:
    """Runs two backends, compares every byte, and returns what the first one did.

    Args:
        native: the first.
        expected: the second.

    Every method raises BackendMismatchError where the two differ.
    """

    def __init__(self, native: Backend, expected: Backend) -> None:
        self._native, self._expected = native, expected

    def quantize(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Quantized:
        """See :class:`Backend`."""
        arguments = weight, spec, block_sizes, importance, num_threads
        packed, *parameters = got = self._native.quantize(*arguments)
        expected_packed, *expected = self._expected.quantize(*arguments)
        _compare_codes(weight, spec, packed, expected_packed)
        _compare_parameters(weight, spec, parameters, expected)
        return got

    def find_scales(
        self,
        weight: Array,
        spec: QuantizationSpec,
        block_sizes: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Parameters:
        """See :class:`Backend`."""
        arguments = weight, spec, block_sizes, importance, num_threads
        got = self._native.find_scales(*arguments)
        _compare_parameters(weight, spec, got, self._expected.find_scales(*arguments))
        return got

    def encode(
        self, weight: Array, parameters: Parameters, spec: QuantizationSpec, num_threads: int
    ) -> Packed:
        """See :class:`Backend`."""
        got = self._native.encode(weight, parameters, spec, num_threads)
        expected = self._expected.encode(weight, parameters, spec, num_threads)
        _compare_codes(weight, spec, got, expected)
        return got

    def encode_with_feedback(
        self,
        weight: Array,
        parameters: Parameters,
        spec: QuantizationSpec,
        parts: Sequence[Part],
        num_threads: int,
    ) -> Packed:
        """See :class:`Backend`."""
        arguments = weight, parameters, spec, parts, num_threads
        got = self._native.encode_with_feedback(*arguments)
        _compare_codes(weight, spec, got, self._expected.encode_with_feedback(*arguments))
        return got

    def decode(self, stored: Quantized, format: Format, out: Array, num_threads: int) -> None:
        """See :class:`Backend`."""
        expected = np.empty_like(out)
        self._native.decode(stored, format, out, num_threads)
        self._expected.decode(stored, format, expected, num_threads)
        # Only bytes that no quantization writes decode to NaN, and which NaN is not specified.
        unspecified = np.isnan(out) & np.isnan(expected)
        expected[unspecified] = out[unspecified]
        _compare(f"{out.dtype} decoded from {format.name} of shape {out.shape}", out, expected)

    def find_tables(
        self, weight: Array, spec: PaletteSpec, importance: Importance, num_threads: int
    ) -> Array:
        """See :class:`Backend`."""
        arguments = weight, spec, importance, num_threads
        got = self._native.find_tables(*arguments)
        expected = self._expected.find_tables(*arguments)
        _compare(
            f"tables of {1 << spec.bits} entries of a {_describe_weight(weight)}", got, expected
        )
        return got

    def fit_scales(
        self,
        weight: Array,
        tables: Array,
        blocks: tuple[int, ...],
        importance: Importance,
        num_threads: int,
    ) -> Array:
        """See :class:`Backend`."""
        arguments = weight, tables, blocks, importance, num_threads
        got = self._native.fit_scales(*arguments)
        expected = self._expected.fit_scales(*arguments)
        _compare(f"scales for the tables of a {_describe_weight(weight)}", got, expected)
        return got

    def encode_table(
        self, weight: Array, tables: Array, cluster: Cluster | None, num_threads: int
    ) -> Packed:
        """See :class:`Backend`."""
        got = self._native.encode_table(weight, tables, cluster, num_threads)
        expected = self._expected.encode_table(weight, tables, cluster, num_threads)
        _compare(f"packed indices of a {_describe_weight(weight)}", got, expected)
        return got

    def decode_table(
        self,
        packed: Packed,
        tables: Array,
        out: Array,
        cluster: Cluster | None,
        num_threads: int,
    ) -> None:
        """See :class:`Backend`."""
        expected = np.empty_like(out)
        self._native.decode_table(packed, tables, out, cluster, num_threads)
        self._expected.decode_table(packed, tables, expected, cluster, num_threads)
        _compare(f"{_describe_weight(out)} decoded from look-up tables", out, expected)

    def sum_squares(self, numbers: Array) -> float:
        """See :class:`Backend`."""
        got = self._native.sum_squares(numbers)
        _compare_numbers("sums of squares", numbers, got, self._expected.sum_squares(numbers))
        return got

    def compare(self, weight: Array, decoded: Array, mean_square: float) -> Differences:
        """See :class:`Backend`."""
        got = self._native.compare(weight, decoded, mean_square)
        expected = self._expected.compare(weight, decoded, mean_square)
        _compare_numbers("errors", weight, got, expected)
        return got


_NATIVE, _REFERENCE = NativeBackend(), ReferenceBackend()
_BACKENDS: dict[str, Backend] = {
    "native": _NATIVE,
    "reference": _REFERENCE,
    "validate": ValidatingBackend(_NATIVE, _REFERENCE),
}


def _compare_codes(weight: Array, spec: QuantizationSpec, got: Packed, want: Packed) -> None:
    """Compare packed codes: by the element that differs, and then all bytes."""
    of = f"of a {_describe(weight, spec)}"
    codes = (reference.unpack(packed, spec.format, weight.shape) for packed in (got, want))
    _compare(f"codes {of}", *codes)
    _compare(f"packed bytes {of}", got, want)


def _compare_parameters(
    weight: Array, spec: QuantizationSpec, got: Sequence[Array], want: Sequence[Array]
) -> None:
    for part, ours, theirs in zip(("scale", "zero point"), got, want, strict=True):
        _compare(f"{part} of a {_describe(weight, spec)}", ours, theirs)


def _describe(weight: Array, spec: QuantizationSpec) -> str:
    return f"{_describe_weight(weight)} as {spec.format.name}"


def _describe_weight(weight: Array) -> str:
    return f"{weight.dtype} weight of shape {weight.shape}"


def _compare_numbers(what: str, of: Array, got: object, want: object) -> None:
    if got != want:
        raise BackendMismatchError(
            f"{what} of a {_describe_weight(of)} differ: native {got}, reference {want}"
        )


def _compare(what: str, got: Array, want: Array) -> None:
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
