"""Quantizations to give to programs of the C library, and what the reference makes of them."""

from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt import reference
from coreai_opt.reference import FORMATS, WEIGHT_DTYPES, Format

from .targets import statuses

# In the order of coreai_quant.h.
FORMAT_NAMES = list(FORMATS)
PORTABLE, NEON, AVX2, AVX512 = range(4)
X86_LEVELS = {AVX2: "avx2", AVX512: "avx512"}
NOT_FINITE = statuses().index("CAQ_NOT_FINITE")

LAYOUTS = {
    "one row": ((37,), (0,)),
    "blocks of the last axis": ((6, 96), (1, 32)),
    "odd rows": ((5, 7), (1, 0)),
    "a block longer than the packing buffer": ((2, 2500), (1, 0)),
    "many short rows": ((1200, 3), (1, 0)),
    "blocks of an earlier axis": ((64, 35), (32, 1)),
    "bands that end inside a byte": ((21, 35), (3, 1)),
    "columns": ((19, 1037), (0, 1)),
    "heads": ((3, 32, 9), (1, 32, 1)),
    "transposed convolution": ((8, 5, 3, 3), (0, 1, 0, 0)),
    "general": ((4, 6, 6, 4), (2, 3, 2, 2)),
}


@dataclass(frozen=True)
class Job:
    """One quantization: a weight, its blocks and its target."""

    weight: npt.NDArray[Any]
    block_sizes: tuple[int, ...]
    format: Format
    symmetric: bool
    e8m0_scale: bool
    mse: bool = False

    def expected(self) -> bytes:
        parts = reference.quantize(
            self.weight,
            self.format,
            symmetric=self.symmetric,
            block_sizes=self.block_sizes,
            e8m0_scale=self.e8m0_scale,
            observer="mse" if self.mse else "minmax",
        )
        return b"".join(part.tobytes() for part in parts)

    def arguments(self, level: int) -> list[str]:
        numbers = [
            level,
            WEIGHT_DTYPES.index(self.weight.dtype),
            FORMAT_NAMES.index(self.format.name),
            0 if self.symmetric else 1,
            1 if self.e8m0_scale else 0,
            1 if self.mse else 0,
            self.weight.ndim,
            *self.weight.shape,
            *self.block_sizes,
        ]
        return [str(number) for number in numbers]


def targets() -> list[tuple[Format, bool, bool]]:
    """All (format, symmetric, e8m0_scale) that are allowed."""
    integers = [f for f in FORMATS.values() if f.is_int]
    floats = [f for f in FORMATS.values() if not f.is_int]
    return [
        *((f, symmetric, False) for f in integers for symmetric in (True, False)),
        *((f, True, e8m0) for f in floats for e8m0 in (False, True) if e8m0 or f.bits == 8),
    ]


def weights(shape: tuple[int, ...], dtype: np.dtype[Any]) -> npt.NDArray[Any]:
    """Normal weights, with a zero, a huge, a tiny and a negative-zero run among them."""
    rng = np.random.default_rng(7)
    flat = rng.standard_normal(int(np.prod(shape))).astype(np.float32) * np.float32(0.02)
    flat[3::17] = 0.0
    flat[5::19] = -0.0
    flat = flat.astype(dtype)
    info = ml_dtypes.finfo(dtype)
    for value, place in ((info.max, 0.25), (info.smallest_subnormal, 0.5), (-info.max, 0.75)):
        flat[int(flat.size * place)] = value
    return flat.reshape(shape)
