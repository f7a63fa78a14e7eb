"""What an asset contains, as ``coreai-opt inspect`` prints it and writes it as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from coreai_opt.program.assets import asset_bytes, load_asset, read_metadata

if TYPE_CHECKING:
    from pathlib import Path

    from coreai_opt.program.inventory import Inventory
    from coreai_opt.program.ir import AIProgram, Port, Signature
    from coreai_opt.program.weights import QuantizedWeight, Weight
    from coreai_opt.reports.records import Census

SCHEMA_VERSION = 1
"""Of the JSON: raised when a key goes away or means something else."""


@dataclass(frozen=True)
class Contents:
    """What an asset contains.

    Attributes:
        name: the name of its folder.
        nbytes: bytes of its files.
        metadata: the asset's metadata, by Core AI's keys.
        program: its program, which must outlive what is found in it.
        threshold: constants with at most this many elements are no weights.
    """

    name: str
    nbytes: int
    metadata: dict[str, Any]
    program: AIProgram
    threshold: int

    @cached_property
    def functions(self) -> dict[str, Signature]:
        """What can be run, by name."""
        from coreai_opt.program.ir import functions  # noqa: PLC0415  # imports Core AI

        return functions(self.program)

    @cached_property
    def _inventory(self) -> Inventory:
        from coreai_opt.program.inventory import Inventory  # noqa: PLC0415  # imports Core AI

        return Inventory(self.program, self.threshold)

    @property
    def weights(self) -> list[Weight]:
        """The weights that can be compressed."""
        return self._inventory.weights

    @property
    def compressed(self) -> list[QuantizedWeight]:
        """The weights that are compressed already."""
        return self._inventory.quantized

    @property
    def census(self) -> Census:
        """All float constants together, and those that are no weights."""
        return self._inventory.census

    def to_json(self) -> dict[str, Any]:
        """Return all of it for ``json.dumps``; sizes are in bytes."""
        return {
            "schema_version": SCHEMA_VERSION,
            "asset": self.name,
            "nbytes": self.nbytes,
            "metadata": self.metadata,
            "functions": [
                {
                    "name": name,
                    "inputs": list(map(_port, signature.inputs)),
                    "states": list(map(_port, signature.states)),
                    "outputs": list(map(_port, signature.outputs)),
                }
                for name, signature in self.functions.items()
            ],
            "weights": list(map(_weight, self.weights)),
            "quantized": list(map(_compressed, self.compressed)),
            "others": [asdict(other) for other in self.census.others],
            "constants": {
                "elements": self.census.elements,
                "nbytes": self.census.nbytes,
                "bits_per_weight": self.census.bits_per_weight,
            },
        }


def contents_of(source: Path, threshold: int) -> Contents:
    """Return what the asset ``source`` contains.

    Args:
        source: the asset.
        threshold: constants with at most this many elements are no weights.

    Raises:
        InputError: it is no asset that can be read.
    """
    program = load_asset(source).program
    name = source.resolve().name
    return Contents(name, asset_bytes(source), read_metadata(source), program, threshold)


def _port(port: Port) -> dict[str, Any]:
    """An input, a state or an output; null is a length that is not fixed, or a dtype of none."""
    dtype = None if port.dtype is None else str(port.dtype)
    return {"name": port.name, "dtype": dtype, "shape": list(port.shape), "type": port.type}


def _weight(weight: Weight) -> dict[str, Any]:
    return {
        "name": weight.name,
        "shape": list(weight.shape),
        "dtype": str(weight.dtype),
        "nbytes": weight.nbytes,
        "consumers": weight.consumers,
        "functions": weight.functions,
        "location": weight.location,
    }


def _compressed(weight: QuantizedWeight) -> dict[str, Any]:
    return {
        "name": weight.name,
        "shape": list(weight.shape),
        "format": weight.format,
        "qscheme": None if weight.qscheme is None else str(weight.qscheme),
        "granularity": str(weight.granularity),
        "block_sizes": list(weight.block_sizes),
        "scale_dtype": weight.scale_dtype,
        "num_scales": weight.num_scales,
        "nbytes": weight.nbytes,
        "consumers": weight.consumers,
        "functions": weight.functions,
        "location": weight.location,
    }
