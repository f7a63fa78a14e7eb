"""Whether two quantized arrays are equal byte for byte."""

from coreai_opt import QuantizedArray


def assert_same_bytes(got: QuantizedArray, want: QuantizedArray) -> None:
    for name in ("packed", "scale", "zero_point"):
        a, b = getattr(got, name), getattr(want, name)
        assert (a.dtype, a.shape) == (b.dtype, b.shape), name
        assert a.tobytes() == b.tobytes(), name
    assert (got.shape, got.dtype, got.weight_dtype) == (want.shape, want.dtype, want.weight_dtype)


def same_bytes(got: QuantizedArray, want: QuantizedArray) -> bool:
    names = ("packed", "scale", "zero_point")
    return all(getattr(got, n).tobytes() == getattr(want, n).tobytes() for n in names)
