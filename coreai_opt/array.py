"""The array API: quantize one numpy array, without Core AI."""

import math
import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt import backends, memory
from coreai_opt.common import DType, Observer, QScheme
from coreai_opt.importance import check_observer, parse_importance
from coreai_opt.reference import E8M0, WEIGHT_DTYPES, Format, unpack
from coreai_opt.reference.blocks import scale_shape
from coreai_opt.reference.formats import FORMATS
from coreai_opt.spec import QuantizationSpec, parse_spec


@dataclass(frozen=True, eq=False)
class QuantizedArray:
    """A quantized weight, in the bytes that Core AI stores.

    It decodes to ``scale * (code - zero_point)``, one scale and zero point per block.

    Attributes:
        packed: flat uint8 array of the codes. Codes of 2 and 4 bits are packed in C order over the
            whole array, first code in the lowest bits, rows not padded.
        shape: shape of the weight.
        dtype: format of the codes.
        weight_dtype: numpy dtype of the weight and of what it decodes to.
        scale: one scale per block, in the dtype it is stored in: the weight's, or float8_e8m0fnu.
            Its shape divides ``shape`` axis by axis.
        zero_point: one code per block, in the shape of ``scale`` and the dtype of ``codes()``.
    """

    packed: npt.NDArray[np.uint8]
    shape: tuple[int, ...]
    dtype: DType
    weight_dtype: np.dtype[Any]
    scale: npt.NDArray[Any]
    zero_point: npt.NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the codes and the scales, which is what a stored program grows by."""
        return self.packed.nbytes + self.scale.nbytes

    def codes(self) -> npt.NDArray[Any]:
        """Return the codes, unpacked.

        Returns:
            array of ``shape``: int8 or uint8 for the integer formats, the ``ml_dtypes`` type for
            the floating-point ones.
        """
        return unpack(self.packed, FORMATS[self.dtype], self.shape)

    def dequantize(
        self,
        *,
        out: npt.NDArray[Any] | None = None,
        backend: str = "auto",
        num_threads: int | None = None,
    ) -> npt.NDArray[Any]:
        """Decode the weight.

        Args:
            out: where to put it: a C-contiguous array of ``shape``, float32, float16 or bfloat16,
                whatever ``weight_dtype`` is; None for a new one of ``weight_dtype``.
            backend, num_threads: as for :func:`quantize_array`.

        Returns:
            ``out``, or the new array of ``shape``.

        Raises:
            ValueError, TypeError: a bad argument, or attributes that do not fit each other; nothing
                has been written then.
            BackendMismatchError: ``backend="validate"`` found a difference.
        """
        format = FORMATS[self.dtype]
        _check_stored(self, format)
        decode = backends.parse_decoder(backend)
        threads = parse_num_threads(num_threads)
        parts = (
            np.ascontiguousarray(self.packed),
            np.ascontiguousarray(self.scale),
            np.ascontiguousarray(self.zero_point),
        )
        if out is None:
            out = memory.empty(self.shape, self.weight_dtype)
        else:
            _check_out(out, self.shape, parts)
        decode(parts, format, out, threads)
        return out


def quantize_array(
    weight: npt.NDArray[Any],
    dtype: DType | str,
    *,
    qscheme: QScheme | str = QScheme.SYMMETRIC,
    block_sizes: Sequence[int],
    scale_dtype: DType | str | None = None,
    observer: Observer | str = Observer.MINMAX,
    importance: npt.NDArray[Any] | None = None,
    backend: str = "auto",
    num_threads: int | None = None,
) -> QuantizedArray:
    """Quantize an array.

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16; it need not be
            contiguous. Every element must be finite, and none may change before this returns: codes
            and scales are unspecified then, or it raises RuntimeError.
        dtype: format of the codes; every ``DType`` but FP8_E8M0FNU.
        qscheme: SYMMETRIC or ASYMMETRIC; floating-point formats are symmetric.
        block_sizes: a block's length along each axis, which must divide it; 0 stands for the whole
            axis. Elements of one block share a scale.
        scale_dtype: for FP8, None (the weight's dtype) or FP8_E8M0FNU; else None. FP4 always has
            E8M0 scales.
        observer: how scales are found: MINMAX, or MSE for the least squared error (slower; scales
            of symmetric integers of 2 and 4 bits may be negative).
        importance: with MSE, what the squared error of each element counts, such as the second
            moment of the activation it is multiplied by: a floating-point array of the weight's
            rank, along each axis as long as that or 1, e.g. ``moments[np.newaxis]`` for a weight
            ``[out, in]``; finite and >= 0. Within a block only the ratios count; a block whose
            importances are all 0 is searched as if they were equal.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte, return
            the native result).
        num_threads: threads that the native backend may use for this array; None means one per
            processor.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been computed then.
        ValueError: a NaN or infinity in ``weight``; the message has the first index.
        BackendMismatchError: ``backend="validate"`` found a difference.
    """
    spec = parse_spec(dtype, qscheme, scale_dtype, observer)
    weight = _parse_weight(weight)
    sizes = _parse_block_sizes(block_sizes, weight.shape)
    check_observer(importance, [spec])
    if importance is not None:
        importance = parse_importance("importance", importance, weight.shape)
    chosen, threads = backends.parse_backend(backend), parse_num_threads(num_threads)
    return quantize_parsed(weight, spec, sizes, chosen, threads, importance=importance)


def quantize_parsed(
    weight: npt.NDArray[Any],
    spec: QuantizationSpec,
    block_sizes: tuple[int, ...],
    backend: backends.Backend,
    num_threads: int,
    *,
    importance: npt.NDArray[np.float32] | None,
) -> QuantizedArray:
    """Do what :func:`quantize_array` does, for arguments that have been checked."""
    packed, scale, zero_point = backend(weight, spec, block_sizes, importance, num_threads)
    return QuantizedArray(
        packed=packed,
        shape=weight.shape,
        dtype=DType(spec.format.name),
        weight_dtype=weight.dtype,
        scale=scale,
        zero_point=zero_point,
    )


def parse_num_threads(num_threads: object) -> int:
    """Return the number of threads to use; None means one per processor this process may run on.

    Raises:
        TypeError, ValueError: not None and not an int >= 1.
    """
    if num_threads is None:
        return backends.processors()
    return parse_int("num_threads", num_threads, least=1, alternative=" or None")


def parse_int(argument: str, value: object, *, least: int, alternative: str = "") -> int:
    """Return ``value`` as an int that is at least ``least``; numpy integers count, bool does not.

    Raises:
        TypeError: not an integer.
        ValueError: an integer, but too small.
    """
    message = f"{argument} must be an int >= {least}{alternative}; got {value!r}"
    if isinstance(value, (bool, np.bool_)):
        raise TypeError(message)
    try:
        number = operator.index(value)  # type: ignore[arg-type]  # TypeError is what we are asking for
    except TypeError:
        raise TypeError(message) from None
    if number < least:
        raise ValueError(message)
    return number


def _parse_weight(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    if not isinstance(weight, np.ndarray):
        raise TypeError(f"weight must be a numpy array; got {type(weight).__name__}")
    native = weight.dtype.newbyteorder("=")
    if native not in WEIGHT_DTYPES:
        allowed = ", ".join(str(dtype) for dtype in WEIGHT_DTYPES)
        raise TypeError(f"weight must be of one of the dtypes {allowed}; got {weight.dtype}")
    if weight.ndim == 0 or weight.size == 0:
        raise ValueError(f"weight must have at least one axis and one element; got {weight.shape}")
    # A plain, native-endian view or copy; only arrays that are not contiguous are copied.
    return np.ascontiguousarray(weight, dtype=native)


def _parse_block_sizes(block_sizes: Sequence[int], shape: tuple[int, ...]) -> tuple[int, ...]:
    if isinstance(block_sizes, (str, bytes)) or not isinstance(block_sizes, (Sequence, np.ndarray)):
        raise TypeError(f"block_sizes must be a sequence of ints; got {block_sizes!r}")
    sizes = tuple(
        parse_int(f"block_sizes[{axis}]", size, least=0) for axis, size in enumerate(block_sizes)
    )
    scale_shape(shape, sizes)
    return sizes


def _check_stored(stored: QuantizedArray, format: Format) -> None:
    """Raise ValueError naming the first attribute that does not fit the shape and the format."""
    shape, blocks = stored.shape, stored.scale.shape
    if len(blocks) != len(shape) or any(
        count < 1 or n < 1 or n % count for n, count in zip(shape, blocks, strict=True)
    ):
        raise ValueError(f"scale must have a shape that divides {shape}; got {blocks}")
    scale_dtypes = [stored.weight_dtype] if format.is_int or format.bits == 8 else []
    scale_dtypes += [] if format.is_int else [E8M0]
    size = (format.packed_size(math.prod(shape)),)
    for name, array, dtypes, wanted in (
        ("scale", stored.scale, scale_dtypes, blocks),
        ("zero_point", stored.zero_point, [format.code_dtype], blocks),
        ("packed", stored.packed, [np.dtype(np.uint8)], size),
    ):
        if array.dtype not in dtypes or array.shape != wanted:
            allowed = " or ".join(map(str, dtypes))
            raise ValueError(
                f"{name} must be {allowed} of shape {wanted}; got {array.dtype} of {array.shape}"
            )


def _check_out(out: object, shape: tuple[int, ...], parts: tuple[npt.NDArray[Any], ...]) -> None:
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out must be a numpy array; got {type(out).__name__}")
    if out.dtype not in WEIGHT_DTYPES:
        allowed = ", ".join(str(dtype) for dtype in WEIGHT_DTYPES)
        raise TypeError(f"out must be of one of the dtypes {allowed}; got {out.dtype}")
    if out.shape != shape:
        raise ValueError(f"out must be of shape {shape}; got {out.shape}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("out must be C-contiguous and writeable")
    if any(np.may_share_memory(out, part) for part in parts):
        raise ValueError("out must not share memory with what is decoded")
