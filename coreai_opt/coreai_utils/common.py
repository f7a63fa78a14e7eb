"""The enums under the name that Apple's package gives them."""

from coreai_opt.settings.enums import (
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
    Rounding,
)

__all__ = ["CompressionGranularity", "DType", "Indivisible", "Observer", "QScheme", "Rounding"]
