"""Quantize the weights of Core AI programs, bit-exactly and at memory speed.

``quantize_array`` works on numpy arrays and needs no Core AI; ``coreai_opt.coreai_utils`` has
``quantize_weights`` for whole programs.
"""

import sys
from importlib.util import find_spec

if find_spec("coreai_opt.reference") is None:
    raise ImportError(
        "coreai_opt cannot be imported from its source tree: the reference and the native module "
        "are put into the package when it is installed. Leave this folder to use the installed "
        "package, or run `make dev` and use .venv/bin/python, which works here as well."
    )

from coreai_opt._version import __version__
from coreai_opt.arrays.feedback import Feedback
from coreai_opt.arrays.palettize import palettize_array
from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.arrays.quantize import quantize_array
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.evaluation import output_comparison, weight_error
from coreai_opt.evaluation.calibrated_error import CalibratedError
from coreai_opt.evaluation.output_comparison import OutputComparison
from coreai_opt.evaluation.weight_error import WeightError
from coreai_opt.exceptions import ArgumentError, ArgumentTypeError, BackendMismatchError
from coreai_opt.planning import plan
from coreai_opt.planning.plan import Choice, FrontierPoint, QuantizationPlan
from coreai_opt.reports import QuantizationReport, records
from coreai_opt.reports.records import Status, WeightRecord
from coreai_opt.settings import rules_file
from coreai_opt.settings.enums import (
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
    Rounding,
)
from coreai_opt.settings.rules import Rule
from coreai_opt.settings.rules_file import dump_rules, load_rules
from coreai_opt.settings.settings import Settings

__all__ = [
    "ArgumentError",
    "ArgumentTypeError",
    "BackendMismatchError",
    "CalibratedError",
    "Choice",
    "CompressionGranularity",
    "DType",
    "Feedback",
    "FrontierPoint",
    "Indivisible",
    "Observer",
    "OutputComparison",
    "PalettizedArray",
    "QScheme",
    "QuantizationPlan",
    "QuantizationReport",
    "QuantizedArray",
    "Rounding",
    "Rule",
    "Settings",
    "Status",
    "WeightError",
    "WeightRecord",
    "__version__",
    "dump_rules",
    "load_rules",
    "palettize_array",
    "quantize_array",
]

# Scripts import what is documented from the modules that had it before there were rooms.
sys.modules |= {
    "coreai_opt.compare": output_comparison,
    "coreai_opt.errors": weight_error,
    "coreai_opt.plan": plan,
    "coreai_opt.records": records,
    "coreai_opt.rules": rules_file,
}
