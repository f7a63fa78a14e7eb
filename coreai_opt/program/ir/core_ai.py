"""Core AI itself. Other modules import it from here; ``private_names.py`` looks it up by name."""

from importlib.metadata import version

from coreai_opt.exceptions import ArgumentTypeError, NotInstalledError
from coreai_opt.program.ir.private_names import missing_names

try:
    import coreai.authoring
    import coreai.runtime  # noqa: F401  # a NotInstalledError, too, where it is missing
except ImportError as error:
    raise NotInstalledError(
        f"quantizing programs needs Core AI, which did not import ({error}): "
        "pip install coreai-core. It has wheels for Linux x86-64 (glibc 2.34 and newer) and macOS "
        "arm64, CPython 3.11 to 3.14. coreai_opt.quantize_array works without it."
    ) from error

if _missing := missing_names():
    raise NotInstalledError(
        f"coreai-core {version('coreai-core')} lacks what this version of coreai_opt uses of it: "
        f"{', '.join(_missing)}. Install a version of coreai-core that has it, such as 1.0.0b3, or "
        "a later one of coreai_opt. coreai_opt.quantize_array works without it."
    )

from coreai._compiler import ir as mlir
from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import copy_constant_value_to_array
from coreai._compiler.dialects.coreai import HandleType
from coreai.authoring import AIModelAsset, AIProgram
from coreai.authoring.asset import _COREAI_PRODUCER as PRODUCER
from coreai.runtime import NDArray
from coreai.runtime import _AIModelAsset as asset_on_disk

__all__ = [
    "PRODUCER",
    "AIModelAsset",
    "AIProgram",
    "HandleType",
    "NDArray",
    "asset_on_disk",
    "check_program",
    "copy_constant_value_to_array",
    "mlir",
]


def check_program(program: object, argument: str = "coreai_program") -> None:
    """Raise ArgumentTypeError if ``program``, the argument ``argument``, is no Core AI program."""
    if not isinstance(program, AIProgram):
        raise ArgumentTypeError(
            argument,
            f"{argument} must be a coreai.authoring.AIProgram, such as "
            f"AIModelAsset.load(path).program; got {type(program).__name__}",
        )
