"""``PaletteSpec``: what look-up tables and scales an array is turned into."""

from dataclasses import dataclass

from coreai_opt.reference import Cluster
from coreai_opt.settings.enums import DType, Observer


@dataclass(frozen=True)
class PaletteSpec:
    """Look-up tables and scales to turn an array into.

    Attributes:
        bits: of an index.
        block_sizes: the length along each axis of a block whose elements share a table; 0 stands
            for the whole axis.
        lut_dtype: what entries of tables are; None for the weight's dtype.
        scale_block_sizes: the length along each axis of a block whose elements share a scale; None
            for no scales, or with ``lut_dtype`` for one scale per table.
        observer: how scales are found.
        cluster: which elements share an index; None if each has its own.
    """

    bits: int
    block_sizes: tuple[int, ...]
    lut_dtype: DType | None = None
    scale_block_sizes: tuple[int, ...] | None = None
    observer: Observer = Observer.MINMAX
    cluster: Cluster | None = None
