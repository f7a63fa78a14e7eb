from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.reference import Cluster, Format, Part

def quantize(
    weight: npt.NDArray[Any],
    format: Format,
    *,
    symmetric: bool,
    block_sizes: Sequence[int],
    e8m0_scale: bool,
    observer: str = "minmax",
    importance: npt.NDArray[np.float32] | None = None,
    num_threads: int,
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[Any], npt.NDArray[Any]]: ...
def encode(
    weight: npt.NDArray[Any],
    scale: npt.NDArray[Any],
    zero_point: npt.NDArray[Any],
    format: Format,
    *,
    symmetric: bool,
    observer: str,
    num_threads: int,
) -> npt.NDArray[np.uint8]: ...
def dequantize(
    packed: npt.NDArray[np.uint8],
    scale: npt.NDArray[Any],
    zero_point: npt.NDArray[Any],
    format: Format,
    out: npt.NDArray[Any],
    *,
    num_threads: int,
) -> None: ...
def encode_with_feedback(
    weight: npt.NDArray[Any],
    scale: npt.NDArray[Any],
    zero_point: npt.NDArray[Any],
    format: Format,
    *,
    symmetric: bool,
    observer: str,
    parts: Sequence[Part],
    num_threads: int,
) -> npt.NDArray[np.uint8]: ...

LEVEL_VARIABLE: str

def level() -> str: ...
def find_tables(
    weight: npt.NDArray[Any],
    bits: int,
    block_sizes: Sequence[int],
    *,
    cluster: Cluster | None = None,
    importance: npt.NDArray[np.float32] | None = None,
    num_threads: int,
) -> npt.NDArray[Any]: ...
def fit_scales(
    weight: npt.NDArray[Any],
    tables: npt.NDArray[np.float32],
    blocks: Sequence[int],
    *,
    importance: npt.NDArray[np.float32] | None = None,
    num_threads: int,
) -> npt.NDArray[Any]: ...
def encode_table(
    weight: npt.NDArray[Any],
    tables: npt.NDArray[Any],
    *,
    cluster: Cluster | None = None,
    num_threads: int,
) -> npt.NDArray[np.uint8]: ...
def decode_table(
    packed: npt.NDArray[np.uint8],
    tables: npt.NDArray[Any],
    out: npt.NDArray[Any],
    *,
    cluster: Cluster | None = None,
    num_threads: int,
) -> None: ...
def sum_squares(numbers: npt.NDArray[Any]) -> float: ...
def compare(
    weight: npt.NDArray[Any], decoded: npt.NDArray[Any], mean_square: float
) -> tuple[float, float, tuple[int, ...]]: ...
