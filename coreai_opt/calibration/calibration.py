"""The moments of a program's weights, by name, in memory and in a file."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.calibration.moments import Moments
from coreai_opt.exceptions import CalibrationError
from coreai_opt.program.temporary import replacing_file

Array = npt.NDArray[Any]

_VERSION = 1
_HEADER = "calibration.json"
_COLUMNS, _ROWS = "columns", "rows"


@dataclass(frozen=True, eq=False)
class Calibration:
    """What the weights of a program were multiplied with on some samples.

    Make one with :func:`coreai_opt.coreai_utils.calibrate`, or :meth:`load` one that was saved.

    Attributes:
        moments: second moments by name of the weight, the name that records and ``inspect`` show.
            Weights that are multiplied with the same share theirs.
        channels: by the same names how many input channels the weight has; its columns are these
            times the positions of a convolution's kernel.
        digests: by the same names a digest that tells the weight from others, see :func:`digest`.
        left: names of the weights without moments, and why they have none.
        samples: how many samples were run.
    """

    moments: Mapping[str, Moments]
    channels: Mapping[str, int]
    digests: Mapping[str, str]
    left: Mapping[str, str]
    samples: int

    def importance(self) -> dict[str, npt.NDArray[np.float32]]:
        """Return what the squared error of each input channel of each weight counts.

        It is the argument ``importance`` of ``quantize_weights``: the mean of x² / ‖x‖ of what the
        channel is multiplied with.

        Returns:
            float32 ``[input channels]`` by name; the mean over a weight's groups and over the
            positions of a convolution's kernel. A weight with one input channel, of which the ratio
            to others would count, has none.
        """
        found = {}
        for name, moments in self.moments.items():
            if self.channels[name] == 1:
                continue
            diagonal, channels = moments.diagonal().astype(np.float64), self.channels[name]
            if channels <= moments.columns:  # else each group has a run of the input channels
                diagonal = diagonal.mean(axis=0).reshape(channels, -1).mean(axis=1)
            found[name] = diagonal.reshape(-1).astype(np.float32)
        return found

    def merge(self, other: Self) -> "Calibration":
        """Return the calibration on the samples of both, e.g. of two functions of one program.

        Raises:
            CalibrationError: they are of different programs.
        """
        for name in self.digests.keys() & other.digests.keys():
            if self.digests[name] != other.digests[name]:
                raise CalibrationError(f"the two calibrations are of different programs: {name}")
        merged: dict[tuple[int, int], Moments] = {}  # weights that share moments still do
        moments = {**self.moments, **other.moments}
        for name in self.moments.keys() & other.moments.keys():
            mine, theirs = self.moments[name], other.moments[name]
            key = id(mine), id(theirs)
            if key not in merged:
                merged[key] = mine.merge(theirs)
            moments[name] = merged[key]
        left = {**self.left, **other.left}
        return Calibration(
            moments=moments,
            channels={**self.channels, **other.channels},
            digests={**self.digests, **other.digests},
            left={name: reason for name, reason in left.items() if name not in moments},
            samples=self.samples + other.samples,
        )

    def check_belongs_to(self, digests: Mapping[str, str], quantized: Iterable[str] = ()) -> None:
        """Raise CalibrationError where this is not the calibration of a program.

        Args:
            digests: of the weights of the program, by name.
            quantized: names of weights that are quantized already, which cannot be compared.
        """
        unknown = [n for n in self.digests if n not in digests and n not in set(quantized)]
        if unknown:
            raise CalibrationError(
                f"the calibration is of another program: this one has no weight {unknown[0]}"
            )
        for name, own in self.digests.items():
            if digests.get(name, own) != own:
                raise CalibrationError(
                    f"the calibration is of another program: {name} has other values in this one"
                )

    def save(self, path: Path | str) -> None:
        """Write the calibration to a file.

        Raises:
            OSError: it cannot be written; no part of it is left then, and what was there stays.
        """
        path = Path(path)
        distinct = list({id(moments): moments for moments in self.moments.values()}.values())
        number = {id(moments): i for i, moments in enumerate(distinct)}
        header = {
            "version": _VERSION,
            "samples": self.samples,
            "left": dict(self.left),
            "weights": {
                name: {
                    "moments": number[id(moments)],
                    "channels": self.channels[name],
                    "digest": self.digests[name],
                }
                for name, moments in self.moments.items()
            },
            "chunks": [[chunk.shape[-1] for chunk in moments.matrices] for moments in distinct],
        }
        arrays: dict[str, Array] = {_HEADER: np.frombuffer(json.dumps(header).encode(), np.uint8)}
        for i, moments in enumerate(distinct):
            arrays[f"{_ROWS}.{i}"] = moments.rows
            for j, chunk in enumerate(moments.matrices):
                arrays[f"{_COLUMNS}.{i}.{j}"] = _packed(chunk)
        with replacing_file(path) as new, new.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    @classmethod
    def load(cls, path: Path | str) -> Self:
        """Read a calibration that :meth:`save` wrote.

        Raises:
            CalibrationError: the file is no calibration, or damaged, or of another version.
            OSError: it cannot be opened.
        """
        path = Path(path)
        try:
            arrays = load_arrays(path)
            header = json.loads(arrays[_HEADER].tobytes())
            version = header["version"]
        except (ValueError, KeyError, TypeError) as error:
            raise CalibrationError(f"{path} is no calibration ({error})") from None
        if version != _VERSION:
            raise CalibrationError(
                f"{path} is of version {version} of calibrations; this is coreai-opt of version "
                f"{_VERSION}: calibrate again"
            )
        try:
            distinct = [_moments(arrays, i, sizes) for i, sizes in enumerate(header["chunks"])]
            weights = header["weights"]
            return cls(
                moments={name: distinct[w["moments"]] for name, w in weights.items()},
                channels={name: int(w["channels"]) for name, w in weights.items()},
                digests={name: str(w["digest"]) for name, w in weights.items()},
                left={str(name): str(reason) for name, reason in header["left"].items()},
                samples=int(header["samples"]),
            )
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise CalibrationError(f"{path} is damaged: {error!r}; calibrate again") from None


def digest(array: Array) -> str:
    """Return a digest of a weight's dtype, its shape and 4096 of its elements."""
    flat = array.reshape(-1)
    taken = np.ascontiguousarray(flat[:: max(1, flat.size // 4096)])
    text = f"{array.dtype} {array.shape}".encode()
    return hashlib.sha256(text + taken.tobytes()).hexdigest()


def _packed(chunk: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return the lower triangles of symmetric matrices ``[groups, k, k]``, one after the other."""
    return chunk[:, np.tri(chunk.shape[-1], dtype=np.bool_)]


def _unpacked(packed: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
    chunk = np.zeros((len(packed), k, k), np.float32)
    lower = np.tri(k, dtype=np.bool_)
    chunk[:, lower] = packed
    upper = ~lower
    chunk[:, upper] = chunk.swapaxes(1, 2)[:, upper]
    return chunk


def _moments(arrays: Mapping[str, Array], number: int, sizes: list[int]) -> Moments:
    rows = arrays[f"{_ROWS}.{number}"]
    chunks = [arrays[f"{_COLUMNS}.{number}.{j}"] for j in range(len(sizes))]
    for chunk, k in zip(chunks, sizes, strict=True):
        if chunk.dtype != np.float32 or chunk.shape != (len(rows), k * (k + 1) // 2):
            raise ValueError(f"moments {number} are {chunk.dtype} of shape {chunk.shape}")
    matrices = tuple(_unpacked(chunk, k) for chunk, k in zip(chunks, sizes, strict=True))
    return Moments(matrices, rows.astype(np.int64))
