"""Where arrays are decoded to: a new one, or one that the caller has."""

from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import memory
from coreai_opt.exceptions import ArgumentError, ArgumentTypeError
from coreai_opt.reference import WEIGHT_DTYPES
from coreai_opt.settings.arguments import did_you_mean
from coreai_opt.settings.enums import find_spelled


def destination(
    out: npt.NDArray[Any] | None,
    dtype: npt.DTypeLike | None,
    shape: tuple[int, ...],
    weight_dtype: np.dtype[Any],
    parts: tuple[npt.NDArray[Any], ...],
) -> npt.NDArray[Any]:
    """Return ``out``, checked, or a new array if it is None.

    Args:
        out, dtype: the arguments of ``dequantize``.
        shape: of what is decoded.
        weight_dtype: the dtype of a new array where ``dtype`` is None.
        parts: the arrays that are decoded, with which ``out`` may share no memory.

    Raises:
        ArgumentError, ArgumentTypeError: ``dtype`` cannot be decoded to, or ``out`` cannot take it.
    """
    if out is None:
        return memory.empty(shape, _parse_target(dtype, weight_dtype))
    _check_out(out, dtype, shape, parts)
    return out


def _parse_target(dtype: npt.DTypeLike | None, weight_dtype: np.dtype[Any]) -> np.dtype[Any]:
    """Return the dtype to decode to."""
    if dtype is None:
        return weight_dtype
    names = [str(allowed) for allowed in WEIGHT_DTYPES]
    if isinstance(dtype, str):
        dtype = find_spelled(dtype, names) or dtype
    try:
        target = np.dtype(dtype)
    except TypeError:
        target = None
    if target not in WEIGHT_DTYPES:
        raise ArgumentTypeError(
            "dtype",
            f"dtype must be one of {', '.join(names)}; got {dtype!r}{did_you_mean(dtype, names)}",
        )
    return target


def _check_out(
    out: object,
    dtype: npt.DTypeLike | None,
    shape: tuple[int, ...],
    parts: tuple[npt.NDArray[Any], ...],
) -> None:
    """Raise ArgumentTypeError or ArgumentError if ``out`` cannot take what ``parts`` decode to."""
    if not isinstance(out, np.ndarray):
        raise ArgumentTypeError("out", f"out must be a numpy array; got {type(out).__name__}")
    if out.dtype not in WEIGHT_DTYPES:
        allowed = ", ".join(str(dtype) for dtype in WEIGHT_DTYPES)
        raise ArgumentTypeError(
            "out", f"out must be of one of the dtypes {allowed}; got {out.dtype}"
        )
    if dtype is not None and out.dtype != _parse_target(dtype, out.dtype):
        raise ArgumentError("out", f"out is {out.dtype}, and dtype {dtype!r}: leave one out")
    if out.shape != shape:
        raise ArgumentError("out", f"out must be of shape {shape}; got {out.shape}")
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ArgumentError("out", "out must be C-contiguous and writeable")
    if any(np.may_share_memory(out, part) for part in parts):
        raise ArgumentError("out", "out must not share memory with what is decoded")
