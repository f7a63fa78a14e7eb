"""The least squared error, weighed or not, that any scale and zero point reach, block by block.

Run by ``make quality``, this prints the tables of docs/numerics.md that say how close the observer
MSE comes to it. ``QUALITY_ARGS='NAME=FILE ...'`` adds the largest weights of programs and of
``.safetensors`` files, which take that package in the environment.

Nothing here is shared with what it is compared to: symmetric integers by going through every scale
at which a code changes, and scales that are powers of two by all that matter, which is exact; all
else by fine grids, which the real optimum may beat by a little.
"""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
import numpy.typing as npt

from coreai_opt import quantize_array

Array = npt.NDArray[Any]

FLOAT_CODES = {
    "fp4_e2m1fn": ml_dtypes.float4_e2m1fn,
    "fp8_e4m3fn": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
}


def least_error(
    blocks: Array,
    dtype: str,
    qscheme: str,
    importance: Array | None = None,
    scale_dtype: str | None = None,
) -> Array:
    """Return the least error of each row of ``blocks``, float64, with scales that are not rounded.

    Args:
        blocks: the elements, none of them zero as a whole.
        dtype, qscheme, scale_dtype: as in ``quantize_array``.
        importance: what each element's squared error counts; None stands for ones.
    """
    blocks = blocks.astype(np.float64)
    weights = np.broadcast_to(1.0 if importance is None else importance, blocks.shape)
    bits = int(dtype.removeprefix("u")[3:]) if dtype[0] in "ui" else 0
    if not bits:
        e8m0 = dtype == "fp4_e2m1fn" or scale_dtype is not None
        return _float(blocks, weights, dtype, e8m0)
    if qscheme == "symmetric":
        ranges = {2: (2, 1), 4: (8, 7), 8: (127, 127)}[bits]
        return np.array(
            [
                min(_symmetric(b, h, *ranges), _symmetric(-b, h, *ranges))
                for b, h in zip(blocks, weights, strict=True)
            ]
        )
    return _asymmetric(blocks, weights, bits)


def _symmetric(block: Array, h: Array, below: int, above: int) -> float:
    """As 1 / scale grows, each code grows by one at (k - 1/2) / |w|, to -below or above at last.

    After each such event codes c are best decoded with Σ h·w·c / Σ h·c², which leaves
    Σ h·w² - (Σ h·w·c)² / Σ h·c².
    """
    block, h = block[(block != 0) & (h != 0)], h[(block != 0) & (h != 0)]
    magnitudes = np.abs(block)
    k = np.arange(1, below + 1)[:, np.newaxis]
    events = np.where(k <= np.where(block < 0, below, above), (k - 0.5) / magnitudes, np.inf)
    order = np.argsort(events.ravel())[: np.isfinite(events).sum()]
    shape = (below, len(magnitudes))
    products = np.cumsum(np.broadcast_to(h * magnitudes, shape).ravel()[order])
    squares = np.cumsum(np.broadcast_to(h * (2 * k - 1), shape).ravel()[order])
    return float(np.sum(h * magnitudes**2) - np.max(products**2 / squares, initial=0))


def _asymmetric(blocks: Array, h: Array, bits: int) -> Array:
    levels = 2**bits - 1
    lo, hi = np.minimum(blocks.min(axis=1), 0), np.maximum(blocks.max(axis=1), 0)
    total, best = np.sum(h * blocks**2, axis=1), np.full(len(blocks), np.inf)
    if bits == 8:  # all zero points would take hours
        middle = np.rint(-lo / (hi - lo) * levels)
        zeros = [np.clip(middle + d, 0, levels) for d in (*range(-2, 3), -24, -12, 12, 24)]
        steps = np.concatenate([np.arange(200, 262, 0.5), 262 * 1.05 ** np.arange(50)])
    else:
        zeros = [np.full(len(blocks), float(zero)) for zero in range(levels + 1)]
        steps = 0.75 * levels * 1.02 ** np.arange(230)
    for step in steps:
        scaled = np.rint(blocks * (step / (hi - lo))[:, np.newaxis])
        for zero in zeros:
            codes = np.clip(scaled, -zero[:, np.newaxis], (levels - zero)[:, np.newaxis])
            products, squares = np.sum(h * blocks * codes, axis=1), np.sum(h * codes**2, axis=1)
            best = np.minimum(best, total - products**2 / np.where(squares > 0, squares, 1))
    return best


def _float(blocks: Array, h: Array, dtype: str, e8m0: bool) -> Array:
    code_dtype = FLOAT_CODES[dtype]
    largest = float(ml_dtypes.finfo(code_dtype).max)
    absmax, best = np.abs(blocks).max(axis=1, keepdims=True), np.full(len(blocks), np.inf)
    least = absmax / largest
    if e8m0:  # from where the largest weight is clipped by far to where small ones become zeros
        least = np.exp2(np.floor(np.log2(least)))
    for octaves in range(-6, 4) if e8m0 else np.arange(-0.15, 1, 1 / 256):
        scale = least * 2.0**octaves
        scaled = np.clip(blocks / scale, -largest, largest).astype(np.float32)
        decoded = scale * scaled.astype(code_dtype).astype(np.float64)
        best = np.minimum(best, np.sum(h * (blocks - decoded) ** 2, axis=1))
    return best


# How close the observer MSE comes.

EXAMPLE = Path(__file__).parents[2] / "examples" / "crepe_tiny_f16.aimodel"
LARGEST = 1 << 20
"""Of weights that are larger, embeddings mostly, none is taken."""


def gaussian(size: int) -> Array:
    """Return normal weights."""
    return _rows_of_1024(np.random.default_rng(0).normal(0, 0.02, size))


def laplace(size: int) -> Array:
    """Return weights with outliers."""
    return _rows_of_1024(np.random.default_rng(1).laplace(0, 0.02, size))


def student(size: int) -> Array:
    """Return weights with large outliers."""
    return _rows_of_1024(np.random.default_rng(2).standard_t(4, size) * 0.02)


def crepe(size: int) -> Array:
    """Return channels of a convolution of CREPE-tiny."""
    return _largest(_weights_of_program(EXAMPLE), size)


def _rows_of_1024(weight: Array) -> Array:
    return weight.reshape(-1, 1024).astype(np.float32)


def _largest(weights: Iterator[Array], size: int) -> Array:
    """Return channels of the largest weight that has whole blocks of 32 in each."""
    matrices = [weight.reshape(len(weight), -1) for weight in weights]
    fitting = (m for m in matrices if m.shape[1] % 32 == 0 and m.size <= LARGEST)
    largest = max(fitting, key=lambda matrix: matrix.size)
    return largest[: size // largest.shape[1]].astype(np.float32)


def _weights_of_program(path: Path) -> Iterator[Array]:
    from coreai.authoring import AIModelAsset  # half a second

    from coreai_opt.program.ir import Buffer, read_constant
    from coreai_opt.program.weights import find_weights

    program = AIModelAsset.load(path).program
    return (read_constant(weight.op, Buffer()).copy() for weight in find_weights(program, 1024))


def _weights_of_file(path: Path) -> Iterator[Array]:
    if path.suffix != ".safetensors":
        return _weights_of_program(path)
    from safetensors.numpy import load_file

    return (weight for weight in load_file(path).values() if weight.ndim > 1)


class Format(NamedTuple):
    """A name, and the arguments of ``quantize_array``."""

    name: str
    dtype: str
    qscheme: str = "symmetric"
    scale_dtype: str | None = None


FORMATS = (
    Format("INT2 symmetric", "int2"),
    Format("INT4 symmetric", "int4"),
    Format("INT8 symmetric", "int8"),
    Format("INT2 asymmetric", "int2", "asymmetric"),
    Format("INT4 asymmetric", "int4", "asymmetric"),
    Format("INT8 asymmetric", "int8", "asymmetric"),
    Format("E4M3", "fp8_e4m3fn"),
    Format("E5M2", "fp8_e5m2"),
    Format("E4M3, E8M0 scales", "fp8_e4m3fn", scale_dtype="fp8_e8m0fnu"),
    Format("E5M2, E8M0 scales", "fp8_e5m2", scale_dtype="fp8_e8m0fnu"),
    Format("MXFP4", "fp4_e2m1fn"),
)


class Quality(NamedTuple):
    """SQNR in dB: with MINMAX, with MSE, and the best there is."""

    minmax: float
    mse: float
    best: float

    @property
    def gap(self) -> float:
        """How far MSE is from the best."""
        return self.best - self.mse


def measure(weight: Array, format: Format) -> Quality:
    """Quantize a matrix, each row a block; those of zeros, which are exact, are left out."""
    weight = weight[weight.any(axis=1)]
    signal = np.sum(weight.astype(np.float64) ** 2)

    def sqnr(error: Array) -> float:
        return float(10 * np.log10(signal / np.sum(error)))

    def reached(observer: str) -> float:
        _, dtype, qscheme, scale_dtype = format
        result = quantize_array(
            weight,
            dtype,
            qscheme=qscheme,
            block_sizes=(1, 0),
            scale_dtype=scale_dtype,
            observer=observer,
        )
        return sqnr((weight - result.dequantize().astype(np.float64)) ** 2)

    least = least_error(weight, format.dtype, format.qscheme, scale_dtype=format.scale_dtype)
    return Quality(reached("minmax"), reached("mse"), sqnr(least))


GRANULARITIES: dict[str, Callable[[Array], Array]] = {
    "blocks of 32": lambda weight: weight.reshape(-1, 32),
    "per channel": lambda weight: weight,
    "per tensor": lambda weight: weight.reshape(1, -1),
}
"""What makes each block a row."""


def _cell(granularity: str, format: Format, quality: Quality) -> str:
    cell = f"{quality.minmax:.1f} → {quality.mse:.1f}, {max(quality.gap, 0):.3f}"
    is_mx = format.dtype != "fp4_e2m1fn" or granularity == "blocks of 32"
    return cell if is_mx else f"({cell})"


def main() -> None:
    """Print a table for each granularity."""
    size = 1 << 17
    weights = {"Gaussian": gaussian, "Laplace": laplace, "Student-t4": student, "CREPE-tiny": crepe}
    matrices = {name: make(size) for name, make in weights.items()}
    for argument in sys.argv[1:]:
        name, _, file = argument.partition("=")
        matrices[name] = _largest(_weights_of_file(Path(file)), size)
    for granularity, as_rows in GRANULARITIES.items():
        print(f"\n| {granularity} |", *(f" {name} |" for name in matrices), sep="")
        print("|---" * (len(matrices) + 1) + "|")
        for format in FORMATS:
            cells = (
                _cell(granularity, format, measure(as_rows(matrix), format))
                for matrix in matrices.values()
            )
            print(f"| {format.name} |", *(f" {cell} |" for cell in cells), sep="", flush=True)


if __name__ == "__main__":
    main()
