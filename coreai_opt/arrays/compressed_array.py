"""``CompressedArray``: what a weight can become."""

from typing import TypeAlias

from coreai_opt.arrays.palettized_array import PalettizedArray
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.arrays.sparse_array import SparseArray

__all__ = ["CompressedArray"]

CompressedArray: TypeAlias = QuantizedArray | PalettizedArray | SparseArray
"""A weight that was compressed. It has ``shape``, ``weight_dtype``, ``nbytes`` and
``dequantize()``."""
