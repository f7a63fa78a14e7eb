"""How far quantized weights are from the weights: SQNR, largest error, histogram."""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.backends import Backend, parse_backend
from coreai_opt.arrays.compressed_array import CompressedArray
from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.arrays.threads import Result, in_parallel
from coreai_opt.reference.errors import Differences
from coreai_opt.reference.formats import FORMATS

__all__ = ["WeightError", "decibels", "measure_error", "shares_of", "weights_sqnr_db"]

_RUN = 1 << 18
"""Elements that are decoded and compared together, or as many as a block of rows has."""

_UNDER_ANY_SQUARE = 2.0**-300
"""Under the square of the smallest float32, 2**-149; no square divided by it is infinite."""


@dataclass(frozen=True)
class WeightError:
    """The error w' - w that quantizing left in the elements of one weight, or of several together.

    Attributes:
        signal: Σ w².
        noise: Σ (w' - w)².
        largest: the largest ``|w' - w|``.
        histogram: how many elements have ``|w' - w| / rms(w)`` under 2**-15, in [2**-15, 2**-14),
            …, in [1/2, 1), and of 1 or more: 17 counts. In a weight of zeros an error of 0 counts
            as 0, any other as 1 or more.
    """

    signal: float
    noise: float
    largest: float
    histogram: tuple[int, ...]

    @property
    def relative(self) -> float:
        """Noise / signal; 0 for a weight of zeros, which is exact in all formats."""
        return self.noise / self.signal if self.signal else 0.0

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio in dB; infinity without any noise."""
        if not self.noise:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf


def shares_of(sizes: Sequence[float]) -> list[float]:
    """Return the share of each of several weights in the noise of all together.

    Args:
        sizes: the square root of the number of elements of each weight.

    On the sentence embeddings of examples/sentence_embedding the square root is better than the
    number itself, and much better than all alike.
    """
    total = math.fsum(sizes)
    return [size / total for size in sizes]


def weights_sqnr_db(errors: Sequence[tuple[int, WeightError | None]]) -> float:
    """Return the SQNR in dB of weights together, as plans have it.

    The noise / signal of all is the mean of that of each, weighted by the square root of the number
    of elements. So a layer of small values counts no less than one of large values.

    Args:
        errors: for each weight its number of elements, and its error; None if it was left.
    """
    shares = shares_of([math.sqrt(size) for size, _ in errors])
    noise = math.fsum(
        share * error.relative
        for share, (_, error) in zip(shares, errors, strict=True)
        if error is not None
    )
    return -10 * math.log10(noise) if noise else math.inf


def decibels(sqnr: float, digits: int = 1) -> str:
    """Return an SQNR with its unit and so many decimals; in words where it is infinite or NaN."""
    if math.isnan(sqnr):
        return "not finite"
    return "exact" if sqnr == math.inf else f"{sqnr:.{digits}f} dB"


def measure_error(
    weight: npt.NDArray[Any], quantized: CompressedArray, *, num_threads: int
) -> WeightError:
    """Measure what quantizing did to a weight.

    Sums are of float64, and the same in any number of threads.

    Args:
        weight: the weight: float32, float16 or bfloat16. One that is not contiguous is copied.
        quantized: the compressed weight, for instance from ``quantize_array``. It is decoded to
            ``weight_dtype``, as Core AI does, some rows at a time.
        num_threads: threads to use.

    Raises:
        ValueError: the two differ in shape or dtype, or hold a NaN or infinity.
    """
    if weight.shape != quantized.shape:
        raise ValueError(f"weight is of shape {weight.shape}, quantized of {quantized.shape}")
    if weight.dtype != quantized.weight_dtype:
        raise ValueError(f"weight is {weight.dtype}, quantized of {quantized.weight_dtype}")
    flat = np.ascontiguousarray(weight).reshape(-1)
    backend = parse_backend("auto")
    signal = math.fsum(_each(_energies, _chunks(flat.size), num_threads, flat, backend))
    if not math.isfinite(signal):
        raise ValueError("weight holds a NaN or infinity")
    mean_square = signal / flat.size or _UNDER_ANY_SQUARE
    runs = list(_runs(quantized))
    measured = _each(_compare_runs, runs, num_threads, flat, mean_square, backend)
    return WeightError(signal, *_join(measured))


def _join(parts: Sequence[Differences]) -> Differences:
    noises, largest, histograms = zip(*parts, strict=True)
    histogram = np.sum(histograms, axis=0).tolist()
    return Differences(math.fsum(noises), max(largest), tuple(histogram))


def _each(
    work: Callable[..., Iterable[Result]], items: Sequence[Any], num_threads: int, *shared: Any
) -> list[Result]:
    """Return what ``work(items, *shared)`` makes of every item, in their order."""
    threads = min(num_threads, len(items))
    bounds = [len(items) * i // threads for i in range(threads + 1)]
    shares = in_parallel(lambda first, end: list(work(items[first:end], *shared)), bounds)
    return [result for results in shares for result in results]


def _chunks(size: int) -> list[slice]:
    return [slice(start, min(start + _RUN, size)) for start in range(0, size, _RUN)]


def _energies(chunks: list[slice], weight: npt.NDArray[Any], backend: Backend) -> Iterator[float]:
    return (backend.sum_squares(weight[chunk]) for chunk in chunks)


def _compare_runs(
    runs: list[tuple[CompressedArray, int]],
    weight: npt.NDArray[Any],
    mean_square: float,
    backend: Backend,
) -> Iterator[Differences]:
    """Decode runs of rows and compare them with the weight."""
    decoded = np.empty(max(math.prod(run.shape) for run, _ in runs), runs[0][0].weight_dtype)
    for run, first in runs:
        got = decoded[: math.prod(run.shape)]
        run.dequantize(out=got.reshape(run.shape), num_threads=1)
        found = backend.compare(weight[first:][: got.size], got, mean_square)
        if not math.isfinite(found.noise):
            raise ValueError("quantized decodes to a NaN or infinity")
        yield found


def _runs(quantized: CompressedArray) -> Iterator[tuple[CompressedArray, int]]:
    """Split into runs of rows, each with the number of its first element.

    A run has whole blocks and whole bytes, and is not much longer than it must be. A sparse array
    is one run, because only all earlier rows tell where the values of a row start.
    """
    parts: dict[str, npt.NDArray[Any]]
    stored = quantized.shape
    if isinstance(quantized, QuantizedArray):
        bits = FORMATS[quantized.dtype].bits
        parts = {
            "scale": quantized.scale,
            "zero_point": quantized.zero_point,
        }
    elif isinstance(quantized, PalettizedArray):
        bits, stored = quantized.n_bits, quantized.index_shape
        parts = {"table": quantized.table}
        if quantized.scale is not None:
            parts["scale"] = quantized.scale
    else:
        yield quantized, 0
        return
    # Where indices are of vectors along the first axis, a row of them is several rows of elements.
    rows, row_bits = stored[0], math.prod(stored[1:]) * bits
    high, size = quantized.shape[0] // rows, math.prod(quantized.shape) // rows
    # A part with one block for all rows has one block for some rows as well.
    blocks = {name: rows // len(part) for name, part in parts.items() if len(part) > 1}
    step = math.lcm(*blocks.values(), 8 // math.gcd(8, row_bits))
    step *= max(1, _RUN // (step * size))
    for start in range(0, rows, step):
        end = min(start + step, rows)
        of_run: dict[str, Any] = {
            name: parts[name][start // block : end // block] for name, block in blocks.items()
        }
        yield (
            replace(
                quantized,
                packed=quantized.packed[start * row_bits // 8 : -(-end * row_bits // 8)],
                shape=((end - start) * high, *quantized.shape[1:]),
                **of_run,
            ),
            start * size,
        )
