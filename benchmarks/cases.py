"""What is quantized in the array benchmark. Standard library only: every worker imports this."""

import json
import math
from dataclasses import asdict, dataclass

SOURCES = ("float32", "float16", "bfloat16")
SOURCE_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}
BLOCK = 32


@dataclass(frozen=True)
class Case:
    """One weight and the format it is quantized to.

    Attributes:
        label: the format in words, e.g. ``"INT4 block 32"``.
        source: dtype of the weight.
        dtype: format of the codes, e.g. ``"int4"``.
        asymmetric: whether there are zero points.
        granularity: ``"tensor"``, ``"channel"`` or ``"block"``.
        e8m0: whether scales are powers of two, stored as E8M0.
        axis: along which axis the blocks or channels run: 1 is the last, contiguous one (a linear
            layer's ``[out, in]``), 0 the one before (a matmul's ``[in, out]``).
        shape: the weight's shape.
    """

    label: str
    source: str
    dtype: str
    asymmetric: bool
    granularity: str
    e8m0: bool
    axis: int
    shape: tuple[int, int]

    @property
    def bits(self) -> int:
        """Bits of a stored code."""
        return {"2": 2, "4": 4, "8": 8}[self.dtype.split("_")[0][-1]]

    @property
    def size(self) -> int:
        """Elements of the weight."""
        return math.prod(self.shape)

    @property
    def block_sizes(self) -> tuple[int, int]:
        """A block's length along each axis; 0 stands for the whole axis."""
        if self.granularity == "tensor":
            return 0, 0
        length = BLOCK if self.granularity == "block" else 0
        return (1, length) if self.axis == 1 else (length, 1)

    @property
    def block_shape(self) -> tuple[int, int]:
        """A block's length along each axis, also where it is the whole axis."""
        rows, columns = self.block_sizes
        return rows or self.shape[0], columns or self.shape[1]

    @property
    def result_bytes(self) -> int:
        """Bytes of packed codes, scales and zero points."""
        blocks = self.size // math.prod(self.block_shape)
        scale_bytes = 1 if self.e8m0 else SOURCE_BYTES[self.source]
        return self.size * self.bits // 8 + blocks * (scale_bytes + 1)

    def to_json(self) -> str:
        """Return the case as JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> "Case":
        """Return the case that :meth:`to_json` gave."""
        fields = json.loads(text)
        return cls(**{**fields, "shape": tuple(fields["shape"])})


# label, format, asymmetric, granularity, E8M0 scales
_FORMATS = (
    ("INT4 block 32", "int4", False, "block", False),
    ("INT4 per channel", "int4", False, "channel", False),
    ("INT8 block 32", "int8", False, "block", False),
    ("INT8 per channel", "int8", False, "channel", False),
    ("INT8 per tensor", "int8", False, "tensor", False),
    ("INT2 block 32", "int2", False, "block", False),
    ("UINT4 asym block 32", "uint4", True, "block", False),
    ("INT8 asym per channel", "int8", True, "channel", False),
    ("MXFP4", "fp4_e2m1fn", False, "block", True),
    ("E4M3 per channel", "fp8_e4m3fn", False, "channel", False),
    ("E4M3+E8M0 block 32", "fp8_e4m3fn", False, "block", True),
    ("E5M2 block 32", "fp8_e5m2", False, "block", False),
)

QUICK_LABELS = ("INT4 block 32", "INT8 per channel", "MXFP4")


def all_cases(shape: tuple[int, int], *, quick: bool) -> list[Case]:
    """Return the cases of a run: every format from every source, along both axes."""
    formats = [row for row in _FORMATS if not quick or row[0] in QUICK_LABELS]
    return [
        Case(label, source, dtype, asymmetric, granularity, e8m0, axis, shape)
        for source in SOURCES
        for label, dtype, asymmetric, granularity, e8m0 in formats
        for axis in ((1,) if granularity == "tensor" else (1, 0))
    ]
