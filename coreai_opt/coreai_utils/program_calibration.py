"""``calibrate``: what the weights of a Core AI program are multiplied with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.settings.arguments import parse_int

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    import numpy.typing as npt

    from coreai_opt.calibration.calibration import Calibration
    from coreai_opt.program.functions import Sizes
    from coreai_opt.program.ir import AIProgram

    Array = npt.NDArray[Any]


def calibrate(
    program: AIProgram,
    samples: Iterable[Mapping[str, Array]] | Mapping[str, Array],
    *,
    function: str | None = None,
    states: Mapping[str, Array] | None = None,
    sizes: Sizes | None = None,
    mask: str | None = None,
    weight_num_threshold: int = 1024,
    max_rows: int = 1024,
    progress: Callable[[int], None] | None = None,
) -> Calibration:
    """Run a Core AI program on samples, and sum up what each of its weights is multiplied with.

    That is what ``quantize_weights(…, calibration=…)`` needs to round weights so that the outputs
    of their layers change least. Take inputs like those that the program will be used on; 32 to 128
    samples are enough, see docs/calibration.md.

    A copy of the program is run, with the activations as outputs; of float16 and bfloat16 it is
    computed in float32. The program must fit into memory, and the second moments of its weights
    beside it: 4·K² bytes for a weight with K input channels (× positions of a convolution's
    kernel), once for weights that are multiplied with the same. Above 4096 they are kept in parts.

    Args:
        program: the program, with float weights; it is left as it is.
        samples: an iterable of the inputs of a run each, arrays by name; or arrays by name with one
            axis more than the inputs, which hold a sample per index of the first.
        function: the name of the function to run; None for the only one there is. Calibrations of
            several can be merged.
        states: what states, such as a cache of keys and values, start as in every sample, by name;
            those that are not given are zeros.
        sizes: of states that start as zeros the length of each dimension that is not fixed, by
            name; 32 where it is not given.
        mask: the name of an input that says which positions count, with 0 for those that do not,
            such as the attention mask of padded text; None for all. It counts for weights that are
            multiplied with each position alone; convolutions, heads and experts take all positions.
        weight_num_threshold: only constants with more elements than this are weights.
        max_rows: of how many positions of a sample (tokens, pixels) to take the activations at
            most, for each weight; of more, so many at random.
        progress: called after each sample, in another thread, with how many were run. What it
            raises ends the call.

    Returns:
        The calibration. Its ``left`` says which weights have no moments, and why: tables of which
        rows are looked up, weights that the function does not use.

    Raises:
        CalibrationError: there is no sample, an activation is a NaN or an infinity, the mask has
            other positions than all activations, or the moments do not fit into memory.
        ValueError, TypeError: a bad argument, named, or a sample that does not fit the program.
        RuntimeError: what the runtime says when it fails.
        ImportError: Core AI is not there.
    """
    threshold = parse_int("weight_num_threshold", weight_num_threshold, least=0)
    most = parse_int("max_rows", max_rows, least=1)

    from coreai_opt.calibration.capture import calibrate_program  # noqa: PLC0415  # imports Core AI
    from coreai_opt.program.ir import check_program  # noqa: PLC0415  # imports Core AI

    check_program(program, "program")
    return calibrate_program(
        program,
        samples,
        function=function,
        states=states,
        sizes=sizes,
        mask=mask,
        weight_num_threshold=threshold,
        max_rows=most,
        progress=progress,
    )
