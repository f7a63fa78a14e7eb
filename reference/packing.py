"""Codes into bytes, as Core AI stores them, and back.

Codes of 2 and 4 bits are packed flat over the whole tensor in C order, first code in the lowest
bits: rows are not padded, only the last byte is, with zeros. Codes of 8 bits are bytes already.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from .formats import Format


def pack(codes: npt.NDArray[Any], format: Format) -> npt.NDArray[np.uint8]:
    """Pack codes into bytes.

    Args:
        codes: array of any shape, of dtype ``format.code_dtype``, values within the format's range.
        format: the format of the codes.

    Returns:
        flat uint8 array of ``format.packed_size(codes.size)`` bytes.
    """
    raw = np.ascontiguousarray(codes, dtype=format.code_dtype).view(np.uint8).reshape(-1)
    count = format.codes_per_byte
    slots = np.zeros((format.packed_size(raw.size), count), dtype=np.uint8)
    slots.reshape(-1)[: raw.size] = raw & format.levels
    packed = np.zeros(len(slots), dtype=np.uint8)
    for position in range(count):
        packed |= slots[:, position] << (position * format.bits)
    return packed


def unpack(
    packed: npt.NDArray[np.uint8], format: Format, shape: tuple[int, ...]
) -> npt.NDArray[Any]:
    """Unpack bytes into codes: the inverse of :func:`pack`.

    Args:
        packed: flat uint8 array as :func:`pack` returns it.
        format: the format of the codes.
        shape: shape of the array that was packed.

    Returns:
        array of ``shape`` and dtype ``format.code_dtype``.
    """
    count = int(np.prod(shape))
    shifts = np.arange(0, 8, format.bits, dtype=np.uint8)
    raw = ((packed[:, None] >> shifts) & format.levels).astype(np.uint8).reshape(-1)[:count]
    if format.is_signed_int:
        sign = np.uint8(1 << (format.bits - 1))
        raw = (raw ^ sign) - sign  # wraps modulo 256, which is the sign extension
    return raw.view(format.code_dtype).reshape(shape)
