"""How far quantized weights are from the weights: SQNR, largest error, histogram."""

import math
from dataclasses import dataclass

__all__ = ["WeightError"]


@dataclass(frozen=True)
class WeightError:
    """The error w' - w that quantizing left in the elements of one weight, or of several together.

    Attributes:
        signal: Σ w².
        noise: Σ (w' - w)².
        largest: the largest |w' - w|.
        histogram: how many elements have |w' - w| / rms(w) under 2**-15, in [2**-15, 2**-14), …,
            in [1/2, 1), and of 1 or more: 17 counts.
    """

    signal: float
    noise: float
    largest: float
    histogram: tuple[int, ...]

    @property
    def sqnr_db(self) -> float:
        """Signal-to-quantization-noise ratio in dB; infinity without any noise."""
        if not self.noise:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf
