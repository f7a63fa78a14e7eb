"""Arrays in ``.npz`` files, as ``numpy.savez`` writes them."""

import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.exceptions import InputError

__all__ = ["load_arrays"]

Array = npt.NDArray[Any]


# Errors that numpy and zipfile raise for bytes that are no such file.
_DAMAGE = (
    EOFError,
    OSError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    tokenize.TokenError,
    zipfile.BadZipFile,
    zlib.error,
)


def load_arrays(path: Path) -> dict[str, Array]:
    """Return the arrays of an ``.npz`` file by name.

    Raises:
        InputError: it is no such file, or damaged.
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                return dict(arrays)
        except _DAMAGE as error:
            raise InputError(f"{path} is no .npz file of arrays ({error})") from error
