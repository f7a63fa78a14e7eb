"""The numerical contract of the project, in numpy and ml_dtypes, written to be read.

This package is the specification: the C kernels in ``csrc/`` reproduce it byte for byte. It knows
nothing of C, of Core AI or of speed. Read it in the order of the work:

    formats       what a code can be: bits, ranges, element types
    blocks        which elements of a weight share a scale
    minmax        from the elements of a block to its scale and zero point: the observer MINMAX
    mse           from there to better ones: the observer MSE
    codes         from an element and its scale to a code, and back
    packing       codes into bytes, and back
    quantize      all of it together
    feedback      other codes at the same scales: columns make up for each other's errors
    errors        how far decoded numbers are from the weights
    tables        another way: look-up tables, and which of their entries is nearest
    table_scales  scales for these, block by block
    table_vectors tables whose entries are vectors
"""

from . import errors, table_scales, table_vectors, tables
from .feedback import Part, encode_with_feedback
from .formats import E8M0, FORMATS, WEIGHT_DTYPES, Format
from .packing import pack, unpack
from .quantize import NotFiniteError, check_finite, dequantize, encode, find_scales, quantize
from .table_vectors import Cluster

__all__ = [
    "E8M0",
    "FORMATS",
    "WEIGHT_DTYPES",
    "Cluster",
    "Format",
    "NotFiniteError",
    "Part",
    "check_finite",
    "dequantize",
    "encode",
    "encode_with_feedback",
    "errors",
    "find_scales",
    "pack",
    "quantize",
    "table_scales",
    "table_vectors",
    "tables",
    "unpack",
]
