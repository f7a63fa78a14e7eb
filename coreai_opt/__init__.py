"""Quantize the weights of Core AI programs, bit-exactly and at memory speed.

``quantize_array`` works on numpy arrays and needs no Core AI; ``coreai_opt.coreai_utils`` has
``quantize_weights`` for whole programs.
"""

from coreai_opt._version import __version__
from coreai_opt.array import QuantizedArray, quantize_array
from coreai_opt.backends import BackendMismatchError
from coreai_opt.common import CompressionGranularity, DType, Indivisible, Observer, QScheme
from coreai_opt.plan import QuantizationPlan
from coreai_opt.reports import QuantizationReport
from coreai_opt.rules import Rule

__all__ = [
    "BackendMismatchError",
    "CompressionGranularity",
    "DType",
    "Indivisible",
    "Observer",
    "QScheme",
    "QuantizationPlan",
    "QuantizationReport",
    "QuantizedArray",
    "Rule",
    "__version__",
    "quantize_array",
]
