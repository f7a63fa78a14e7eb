"""The documented API for whole Core AI programs.

``quantize_weights`` and its enums have the names, signatures, defaults and errors of Apple's
``coreai_opt.coreai_utils`` (coreai-opt 0.4.0); the other functions are this package's own. Core AI
itself is imported when a program is first used.
"""

import logging
from importlib import metadata

from coreai_opt.coreai_utils.common import (
    CompressionGranularity,
    DType,
    Indivisible,
    Observer,
    QScheme,
    Rounding,
)
from coreai_opt.coreai_utils.format_planning import plan_quantization
from coreai_opt.coreai_utils.passes.weight_dequantization import dequantize_weights
from coreai_opt.coreai_utils.passes.weight_palettization import palettize_weights
from coreai_opt.coreai_utils.passes.weight_quantization import quantize_weights
from coreai_opt.coreai_utils.passes.weight_sparsification import sparsify_weights
from coreai_opt.coreai_utils.program_calibration import calibrate
from coreai_opt.coreai_utils.program_census import take_census
from coreai_opt.coreai_utils.program_comparison import compare_programs
from coreai_opt.settings.targets import Target

__all__ = [
    "CompressionGranularity",
    "DType",
    "Indivisible",
    "Observer",
    "QScheme",
    "Rounding",
    "Target",
    "calibrate",
    "compare_programs",
    "dequantize_weights",
    "palettize_weights",
    "plan_quantization",
    "quantize_weights",
    "sparsify_weights",
    "take_census",
]


def _warn_of_apples_package() -> None:
    """Say so where Apple's distribution, which has the same import name, is installed as well."""
    try:
        version = metadata.version("coreai-opt")
    except metadata.PackageNotFoundError:
        return
    logging.getLogger("coreai_opt").warning(
        "coreai-opt %s is installed beside coreai-opt-native: both are imported as coreai_opt and "
        "overwrite each other's files. Uninstall both, then install the one you want",
        version,
    )


_warn_of_apples_package()
