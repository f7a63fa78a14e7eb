"""Whether two compressed arrays are equal byte for byte."""

from coreai_opt import PalettizedArray, QuantizedArray


def assert_same_bytes(got: QuantizedArray, want: QuantizedArray) -> None:
    for name in ("packed", "scale", "zero_point"):
        a, b = getattr(got, name), getattr(want, name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        assert a.tobytes() == b.tobytes(), name
    assert (got.shape, got.dtype, got.weight_dtype) == (want.shape, want.dtype, want.weight_dtype)


def assert_same_tables(found: PalettizedArray, expected: PalettizedArray) -> None:
    assert (found.table.dtype, found.table.shape) == (expected.table.dtype, expected.table.shape)
    assert found.table.tobytes() == expected.table.tobytes()
    assert found.packed.tobytes() == expected.packed.tobytes()


def same_bytes(got: QuantizedArray, want: QuantizedArray) -> bool:
    names = ("packed", "scale", "zero_point")
    return all(getattr(got, n).tobytes() == getattr(want, n).tobytes() for n in names)
