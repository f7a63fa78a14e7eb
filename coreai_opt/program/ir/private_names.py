"""What is used of Core AI without being part of its documented interface.

Core AI is a beta, and its next release may rename any of this. Where a name is missing, the package
says so when it is imported, instead of failing in the middle of a program.
"""

from collections.abc import Mapping
from importlib import import_module
from inspect import get_annotations

PRIVATE_NAMES: Mapping[str, tuple[str, ...]] = {
    # Modules import each other: the dialects can be imported only after coreai.authoring.
    "coreai.authoring": (
        "AIModelAsset._wrap",
        "AIProgram._module",
        "AIProgram._save_bytecode",
    ),
    "coreai.authoring.module": ("Module._mlir_module",),
    "coreai.authoring.asset": ("_COREAI_PRODUCER",),
    "coreai.runtime": (
        "AIModelAssetMetadata._producer",
        "NDArray._tensor",
        "_AIModelAsset._create",
        "_AIModelAsset._program_bytecode_path",
        "_AIModelAsset._program_hash_path",
        "_AIModelAsset.update_metadata",
    ),
    "coreai._compiler.dialects.coreai": ("HandleType",),
    "coreai._compiler._mlir_libs._coreaiIR._bindings.compiler": ("copy_constant_value_to_array",),
    "coreai._compiler.ir": (
        "ArrayAttr.get",
        "BF16Type",
        "BlockArgument.arg_number",
        "DenseElementsAttr.get_splat",
        "DenseElementsAttr.get_splat_value",
        "DenseElementsAttr.is_splat",
        "DenseResourceElementsAttr.get_from_buffer",
        "DictAttr.get",
        "F16Type",
        "F32Type",
        "FloatAttr.get",
        "FunctionType.get",
        "InsertionPoint",
        "IntegerAttr.get",
        "IntegerType",
        "Operation.create",
        "RankedTensorType.get",
        "StringAttr.get",
        "Type.parse",
        "TypeAttr.get",
    ),
}
"""Names by the module that they are in; attributes stand behind a dot."""


def missing_names() -> list[str]:
    """Return the names that the installed Core AI lacks, with their modules."""
    return [
        f"{module}.{name}"
        for module, names in PRIVATE_NAMES.items()
        for name in names
        if not _is_there(module, name)
    ]


def _is_there(module: str, name: str) -> bool:
    try:
        holder: object = import_module(module)
    except ImportError:
        return False
    for part in name.split("."):
        if not hasattr(holder, part):
            # What only instances have is at least declared by their class.
            return isinstance(holder, type) and part in get_annotations(holder)
        holder = getattr(holder, part)
    return True
