"""The array API: quantize one numpy array, without Core AI."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from coreai_opt.arrays import backends
from coreai_opt.arrays.feedback import Feedback, check_feedback
from coreai_opt.arrays.importance import check_observer, parse_importance
from coreai_opt.arrays.matrices import MatrixLayout
from coreai_opt.arrays.methods import Gptq, Method, nearest
from coreai_opt.arrays.quantized_array import QuantizedArray
from coreai_opt.arrays.threads import parse_num_threads
from coreai_opt.exceptions import ArgumentError, ArgumentTypeError
from coreai_opt.reference import WEIGHT_DTYPES
from coreai_opt.reference.blocks import scale_shape
from coreai_opt.settings.arguments import parse_int
from coreai_opt.settings.checked import check_settings
from coreai_opt.settings.enums import (
    CompressionGranularity,
    DType,
    DTypeName,
    GranularityName,
    Observer,
    ObserverName,
    QScheme,
    QSchemeName,
)
from coreai_opt.settings.settings import DEFAULTS, Settings
from coreai_opt.settings.spec import parse_spec


def quantize_array(
    weight: npt.NDArray[Any],
    dtype: DType | DTypeName,
    *,
    qscheme: QScheme | QSchemeName = QScheme.SYMMETRIC,
    granularity: CompressionGranularity | GranularityName | None = None,
    block_size: int = 32,
    block_sizes: Sequence[int] | None = None,
    scale_dtype: DType | DTypeName | None = None,
    observer: Observer | ObserverName = Observer.MINMAX,
    importance: npt.NDArray[Any] | None = None,
    feedback: Feedback | None = None,
    backend: str = "auto",
    num_threads: int | None = None,
) -> QuantizedArray:
    """Quantize an array.

    Args:
        weight: array of rank >= 1, not empty, of dtype float32, float16 or bfloat16; it need not be
            contiguous. Every element must be finite, and none may change before this returns: codes
            and scales are unspecified then, or it raises WeightChangedError.
        dtype: format of the codes; every ``DType`` but FP8_E8M0FNU.
        qscheme: SYMMETRIC or ASYMMETRIC; floating-point formats are symmetric.
        granularity: which elements share a scale, of a weight ``[out, in, …]`` as linear layers and
            convolutions have it: PER_TENSOR, PER_CHANNEL, or PER_BLOCK for runs of ``block_size``
            input channels. None with ``block_sizes``; PER_BLOCK for FP4 if neither is given.
        block_size: input channels that share a scale, with PER_BLOCK.
        block_sizes: instead, a block's length along each axis, which must divide it; 0 stands for
            the whole axis. Elements of one block share a scale.
        scale_dtype: for FP8, None (the weight's dtype) or FP8_E8M0FNU; else None. FP4 always has
            E8M0 scales.
        observer: how scales are found: MINMAX, or MSE for the least squared error (slower; scales
            of symmetric integers of 2 and 4 bits may be negative).
        importance: with MSE, what the squared error of each element counts, such as the second
            moment of the activation it is multiplied by: a floating-point array of the weight's
            rank, along each axis as long as that or 1, e.g. ``moments[np.newaxis]`` for a weight
            ``[out, in]``; finite and >= 0. Within a block only the ratios count; a block whose
            importances are all 0 is searched as if they were equal. None with ``feedback`` takes
            the importance that it has.
        feedback: round columns so that they make up for each other's errors, for a weight that is
            matrices ``[…, rows, columns]`` or one row: ``Feedback.from_moments(H)``, H the second
            moments of what is summed over the columns. Each row is multiplied by these inputs. None
            rounds every element to nearest.
        backend: "auto", "native", "reference" or "validate" (run both, compare every byte, return
            the native result).
        num_threads: threads that the native backend may use for this array; None means one per
            processor.

    Raises:
        ValueError, TypeError: a bad argument, named; nothing has been computed then.
        ValueError: a NaN or infinity in ``weight``; the message has the first index.
        BackendMismatchError: ``backend="validate"`` found a difference.
        UnusableArithmeticError: this thread flushes subnormals or rounds otherwise.
    """
    settings = Settings(
        dtype=dtype,
        qscheme=qscheme,
        granularity=granularity,
        block_size=block_size,
        scale_dtype=scale_dtype,
        observer=observer,
    )
    spec = parse_spec(settings)
    weight = parse_weight(weight)
    sizes = _parse_blocks(settings, block_sizes, weight.shape)
    check_observer(importance, is_used=spec.observer.uses_importance)
    if importance is not None:
        importance = parse_importance(importance, weight.shape)
    chosen, threads = backends.parse_backend(backend), parse_num_threads(num_threads)
    method: Method = nearest
    if feedback is not None:
        layout = MatrixLayout.of_last_axes(weight.shape)
        check_feedback(feedback, layout)
        method = Gptq(feedback, layout)
    return method.quantize(weight, spec, sizes, chosen, threads, importance=importance)


def parse_weight(weight: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return a weight as a plain array, C-contiguous and in native byte order.

    Raises:
        TypeError, ValueError: it is none, has another dtype, no axis or no element.
    """
    if not isinstance(weight, np.ndarray):
        raise ArgumentTypeError(
            "weight", f"weight must be a numpy array; got {type(weight).__name__}"
        )
    native = weight.dtype.newbyteorder("=")
    if native not in WEIGHT_DTYPES:
        allowed = ", ".join(str(dtype) for dtype in WEIGHT_DTYPES)
        raise ArgumentTypeError(
            "weight", f"weight must be of one of the dtypes {allowed}; got {weight.dtype}"
        )
    if weight.ndim == 0 or weight.size == 0:
        raise ArgumentError(
            "weight", f"weight must have at least one axis and one element; got {weight.shape}"
        )
    # A plain, native-endian view or copy; only arrays that are not contiguous are copied.
    return np.ascontiguousarray(weight, dtype=native)


def _parse_blocks(
    settings: Settings, block_sizes: Sequence[int] | None, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return a block's length along each axis, 0 for the whole, said in one of two ways."""
    if block_sizes is not None:
        if settings.granularity is not None:
            raise ArgumentError("block_sizes", "block_sizes must be None with a granularity")
        return parse_block_sizes(block_sizes, shape)
    if settings.with_implied().granularity is None:
        raise ArgumentTypeError(
            "granularity", "granularity, or block_sizes in its place, must be given"
        )
    checked = check_settings(DEFAULTS.merge(settings.with_implied()))
    if checked.granularity is CompressionGranularity.PER_TENSOR:
        return (0,) * len(shape)
    if checked.granularity is CompressionGranularity.PER_CHANNEL:
        return (1, *(0,) * (len(shape) - 1))
    if len(shape) == 1:
        raise ArgumentError(
            "granularity", "granularity 'per_block' needs a weight with an axis of input channels"
        )
    return parse_block_sizes((1, checked.block_size, *(0,) * (len(shape) - 2)), shape)


def parse_block_sizes(
    block_sizes: Sequence[int], shape: tuple[int, ...], argument: str = "block_sizes"
) -> tuple[int, ...]:
    """Return block sizes as a tuple of ints that fit a shape.

    Args:
        block_sizes: a block's length along each axis, which must divide it; 0 stands for the axis.
        shape: of the weight.
        argument: what to call them in messages.

    Raises:
        TypeError, ValueError: they are none.
    """
    if isinstance(block_sizes, (str, bytes)) or not isinstance(block_sizes, (Sequence, np.ndarray)):
        raise ArgumentTypeError(
            argument, f"{argument} must be a sequence of ints; got {block_sizes!r}"
        )
    sizes = tuple(
        parse_int(f"{argument}[{axis}]", size, least=0) for axis, size in enumerate(block_sizes)
    )
    try:
        scale_shape(shape, sizes)
    except ValueError as error:
        raise ArgumentError(argument, str(error)) from None
    return sizes
