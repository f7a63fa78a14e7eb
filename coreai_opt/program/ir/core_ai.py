"""Core AI itself. No other module of the package imports it."""

from coreai_opt.exceptions import ArgumentTypeError, NotInstalledError

try:
    from coreai._compiler import ir as mlir
    from coreai._compiler._mlir_libs._coreaiIR._bindings.compiler import (
        copy_constant_value_to_array,
    )
    from coreai.authoring import AIModelAsset, AIProgram
    from coreai.authoring.asset import _COREAI_PRODUCER as PRODUCER
    from coreai.runtime import NDArray
    from coreai.runtime import _AIModelAsset as asset_on_disk

    # It must be imported after coreai.authoring.
    from coreai._compiler.dialects.coreai import HandleType  # isort: skip
except ImportError as error:
    raise NotInstalledError(
        f"quantizing programs needs Core AI, which did not import ({error}): "
        "pip install coreai-core. It has wheels for Linux x86-64 (glibc 2.34 and newer) and macOS "
        "arm64, CPython 3.11 to 3.14. coreai_opt.quantize_array works without it."
    ) from error

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
