"""One call of ``quantize_array``: as a value, as a line of text, and what backends answer to it."""

import dataclasses
import json
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pytest

from ..support.corpus import (
    MSE_SPECS,
    SPECS,
    WEIGHT_DTYPES,
    Array,
    DTypeLike,
    Spec,
    bits_of,
    instruction_sets,
)

SOURCES = {str(dtype): dtype for dtype in WEIGHT_DTYPES}


def is_special(bits: Array, dtype: DTypeLike) -> Array:
    """Whether bit patterns are those of infinities or NaNs."""
    infinity = bits_of(np.array(np.inf, dtype))
    return bits & infinity == infinity


def as_hex(weight: Array) -> str:
    """Return a weight as it stands in ``Case.bits``."""
    bits = bits_of(np.ascontiguousarray(weight))
    return bits.astype(bits.dtype.newbyteorder("<")).tobytes().hex()


@dataclass(frozen=True, repr=False)
class Case:
    """A weight, how it lies in memory, and what to make of it.

    An argument that ``Spec`` gets is a field here under the same name, with the same default: then
    lines written before it was there stay what they were.

    Attributes:
        source: the weight's dtype.
        bits: the weight in C order, little-endian, in hexadecimal.
        order: the weight's axes as they lie in memory, the one with the largest stride first; none
            stands for C order.
        steps: along each axis, how far neighbours lie apart, in elements; none stands for ones.
        offset: bytes by which the weight misses its alignment.
        swapped: whether its byte order is the other one.
        importance: float32 in C order, little-endian, in hexadecimal; none for no importance.
        importance_shape: its shape.
    """

    source: str
    shape: tuple[int, ...]
    block_sizes: tuple[int, ...]
    bits: str
    dtype: str
    qscheme: str = "symmetric"
    scale_dtype: str | None = None
    observer: str | None = None
    order: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
    offset: int = 0
    swapped: bool = False
    num_threads: int = 1
    importance: str = ""
    importance_shape: tuple[int, ...] = ()

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the case that a line describes."""
        values = json.loads(line)
        return cls(**{k: tuple(v) if isinstance(v, list) else v for k, v in values.items()})

    def __repr__(self) -> str:
        """Return the line that describes the case; what is as it usually is is left out."""
        fields = {field.name: field.default for field in dataclasses.fields(self)}
        values = {name: getattr(self, name) for name in fields}
        return json.dumps({k: v for k, v in values.items() if v != fields[k]})

    @property
    def spec(self) -> Spec:
        return Spec(**{name: getattr(self, name) for name in Spec._fields})

    def values(self) -> Array:
        """Return the weight, C-contiguous."""
        dtype = SOURCES[self.source]
        bits = np.frombuffer(bytes.fromhex(self.bits), f"<u{dtype.itemsize}")
        return bits.astype(bits.dtype.newbyteorder("=")).view(dtype).reshape(self.shape)

    def importances(self) -> Array | None:
        """Return the importance, if there is one."""
        if not self.importance:
            return None
        return np.frombuffer(bytes.fromhex(self.importance), "<f4").reshape(self.importance_shape)

    def weight(self) -> Array:
        """Return the weight as it lies in memory; what lies between its elements is NaN."""
        values = self.values()
        dtype = values.dtype.newbyteorder("S" if self.swapped else "=")
        steps = self.steps or (1,) * values.ndim
        order = self.order or tuple(range(values.ndim))
        room = [n * abs(step) for n, step in zip(self.shape, steps, strict=True)]
        memory = np.full(self.offset + math.prod(room) * dtype.itemsize, 0xFF, np.uint8)
        view = memory[self.offset :].view(dtype).reshape([room[axis] for axis in order])
        view = view.transpose(np.argsort(order))[tuple(slice(None, None, step) for step in steps)]
        view[...] = values
        return view

    def is_allowed(self) -> bool:
        """Whether there is an answer, by what the documentation says."""
        return (
            self.spec in (*SPECS, *MSE_SPECS)
            and len(self.block_sizes) == len(self.shape)
            and all(b == 0 or n % b == 0 for n, b in zip(self.shape, self.block_sizes, strict=True))
            and not is_special(bits_of(self.values()), SOURCES[self.source]).any()
            and self._allows_importance()
        )

    def _allows_importance(self) -> bool:
        h = self.importances()
        return h is None or (
            self.observer == "mse"
            and h.ndim == len(self.shape)
            and all(m in {1, n} for m, n in zip(h.shape, self.shape, strict=True))
            and bool(np.all((h >= 0) & (h < np.inf)))
        )

    def answer(self, backend: str) -> tuple[Any, ...]:
        """Return all that a backend answers, errors too, as something that compares by bytes.

        Decoded weights are part of it: into every dtype.
        """
        try:
            result = self.spec.quantize(
                self.weight(),
                self.block_sizes,
                backend,
                num_threads=self.num_threads,
                importance=self.importances(),
            )
        except (ValueError, TypeError) as error:
            return type(error).__name__, str(error)
        parts = [result.packed, result.scale, result.zero_point]
        for dtype in WEIGHT_DTYPES:
            out = np.empty(result.shape, dtype)
            parts.append(result.dequantize(out=out, backend=backend, num_threads=self.num_threads))
        return tuple((str(part.dtype), part.shape, part.tobytes().hex()) for part in parts)

    def differences(self) -> str:
        """Return what is wrong with the answers, as text; none if nothing is."""
        want = self.answer("reference")
        if (len(want) > 2) != self.is_allowed():
            return f"the reference answers {want}"
        wrong = []
        for level in instruction_sets():
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("COREAI_OPT_ISA", level)
                got = self.answer("native")
            if got != want:
                wrong.append(f"{level} answers {got}, the reference {want}")
        return "\n".join(wrong)
