"""The protocol of stored forms, which say how a compressed weight is stored in a program."""

from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar

from coreai_opt.program.ir import Builder, Op, Value
from coreai_opt.settings.enums import CompressionGranularity, QScheme

__all__ = ["Form", "Label", "Stored"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """A weight that is stored compressed, described without reading its elements.

    Attributes:
        shape: its shape.
        format: format of the codes, e.g. ``"int4"``.
        qscheme: symmetric or asymmetric; None where its zero points cannot be read.
        granularity: which elements share a scale.
        block_sizes: how long a block is along each axis.
        scale_dtype: dtype of the scales, e.g. ``"float16"``.
        num_scales: how many scales it has.
        nbytes: bytes of its codes, scales and offsets.
    """

    shape: tuple[int, ...]
    format: str
    qscheme: QScheme | None
    granularity: CompressionGranularity
    block_sizes: tuple[int, ...]
    scale_dtype: str
    num_scales: int
    nbytes: int


class Label(NamedTuple):
    """Names that reports have for a compressed array: of the format and of the dtype of scales."""

    format: str
    scale_dtype: str


_Array = TypeVar("_Array")


class Form(Protocol[_Array]):
    """How a compressed array is stored: a module of this package with these functions."""

    def stores(self, array: object) -> bool:
        """Whether an array is of the type that this form stores."""

    def decodes(self, op: Op) -> bool:
        """Whether an op decodes what is stored in this form."""

    def describe(self, decoder: Op) -> Stored | None:
        """Describe what an op decodes; None for what Core AI's runtime ends the process on."""

    def read(self, decoder: Op) -> _Array:
        """Read what an op decodes.

        Raises:
            UnreadableError: it decodes something that the array cannot hold; the message says what.
        """

    def build(self, build: Builder, array: _Array) -> Value:
        """Make the ops that decode an array, of which the program keeps the memory."""

    def saved_bytes(self, array: _Array, slices: int = 1, length: int = 1) -> int:
        """Return the bytes that a weight takes in a saved program.

        Args:
            array: the weight, or ``slices`` of it along an axis on which no block has more than one
                element.
            slices: how many slices the array has.
            length: how many slices the weight has.
        """

    def label(self, array: _Array) -> Label:
        """Return what reports call an array."""
