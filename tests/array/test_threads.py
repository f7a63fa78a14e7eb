"""The bytes do not depend on how many threads make them, however the work is cut."""

from typing import Any

import ml_dtypes
import numpy as np
import numpy.typing as npt
import pytest

from coreai_opt import _native, reference
from coreai_opt.reference import FORMATS

LAYOUTS = {
    "one scale": ((37, 129), (0, 0)),
    "one scale, fewer elements than threads": ((5,), (0,)),
    "rows": ((61, 35), (1, 0)),
    "blocks of the last axis": ((9, 96), (1, 32)),
    "short blocks of the last axis": ((1, 9000), (1, 9)),
    "columns, rows of whole bytes": ((33, 1040), (0, 1)),
    "columns, rows that share bytes": ((33, 1037), (0, 1)),
    "blocks of an earlier axis": ((96, 35), (32, 1)),
    "blocks of an earlier axis, odd everything": ((21, 35), (3, 1)),
    "heads": ((5, 32, 9), (1, 32, 1)),
    "transposed convolution": ((8, 5, 3, 3), (0, 1, 0, 0)),
    "general": ((4, 6, 6, 5), (2, 3, 2, 0)),
}
TARGETS = [("int4", True), ("uint4", False), ("int2", False), ("int8", True), ("fp4_e2m1fn", True)]


@pytest.fixture
def every_element_is_worth_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1)


def quantize_both(
    weight: npt.NDArray[Any], target: tuple[str, bool], sizes: tuple[int, ...], threads: int
) -> tuple[list[bytes], list[bytes]]:
    name, symmetric = target
    arguments: dict[str, Any] = {
        "symmetric": symmetric,
        "block_sizes": sizes,
        "e8m0_scale": name == "fp4_e2m1fn",
    }
    native = _native.quantize(weight, FORMATS[name], **arguments, num_threads=threads)
    expected = reference.quantize(weight, FORMATS[name], **arguments)
    return [part.tobytes() for part in native], [part.tobytes() for part in expected]


@pytest.mark.usefixtures("every_element_is_worth_a_thread")
@pytest.mark.parametrize("threads", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("target", TARGETS, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_bytes_do_not_depend_on_threads(
    layout: str, target: tuple[str, bool], threads: int
) -> None:
    shape, sizes = LAYOUTS[layout]
    weight = np.random.default_rng(3).standard_normal(shape).astype(ml_dtypes.bfloat16)
    native, expected = quantize_both(weight, target, sizes, threads)
    assert native == expected


@pytest.mark.usefixtures("every_element_is_worth_a_thread")
@pytest.mark.parametrize("sizes", [(0, 0), (1, 0), (0, 1)], ids=str)
@pytest.mark.parametrize("symmetric", [True, False])
def test_a_nan_in_any_share_is_found(sizes: tuple[int, ...], symmetric: bool) -> None:
    for index in [(0, 0), (13, 70), (63, 127)]:
        weight = np.ones((64, 128), np.float32)
        weight[index] = np.nan
        with pytest.raises(ValueError, match=rf"nan at index \({index[0]}, {index[1]}\)"):
            quantize_both(weight, ("int8", symmetric), sizes, 4)


def test_large_weights_are_really_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    pools = []

    class Pool(_native.ThreadPoolExecutor):  # type: ignore[misc, name-defined]
        def __init__(self, threads: int) -> None:
            pools.append(threads)
            super().__init__(threads)

    monkeypatch.setattr(_native, "ThreadPoolExecutor", Pool)
    monkeypatch.setattr(_native, "SMALLEST_SHARE", 1024)
    for weight in (np.ones((32, 63), np.float32), np.ones((32, 64), np.float32)):
        _native.quantize(
            weight,
            FORMATS["int8"],
            symmetric=True,
            block_sizes=(1, 0),
            e8m0_scale=False,
            num_threads=2,
        )
    assert pools == [2]
