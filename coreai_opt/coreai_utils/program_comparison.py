"""``compare_programs``: what two Core AI programs compute from the same inputs."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import numpy as np

from coreai_opt.evaluation.output_comparison import OutputComparison, compare_outputs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from coreai_opt.evaluation.output_comparison import Array
    from coreai_opt.program.functions import Sizes
    from coreai_opt.program.ir import AIModelAsset, AIProgram


def compare_programs(
    reference: AIProgram | AIModelAsset,
    program: AIProgram | AIModelAsset,
    inputs: Mapping[str, Array] | None = None,
    *,
    seed: int = 0,
    function: str | None = None,
    sizes: Sizes | None = None,
    progress: Callable[[str, int, int], None] | None = None,
) -> list[OutputComparison]:
    """Run two programs on Core AI's runtime and compare what comes out.

    Both run one function, once for each sample, and start from the same states each time. Programs
    are saved to a temporary folder for that, which assets need not be.

    Args:
        reference: the program to compare with, e.g. the one that was quantized.
        program: the other; what its function takes and returns has the same names and shapes.
        inputs: one array per input, by name; arrays of one axis more than the inputs hold one
            sample per index of the first. Made up unless given: floats are normal then, integers
            that select rows of a table, such as the ids of tokens, uniform over its rows, other
            integers 1 and booleans true. States, such as a cache of keys and values, may be given
            as well; those that are not start as zeros.
        seed: of the inputs that are made up.
        function: the name of the function; None for the only one there is.
        sizes: of inputs that are made up, and of states that start as zeros, the length of each
            dimension that is not fixed, by name: ``{"input_ids": 32}``, or, for one that has two,
            ``{"image": (224, 320)}``; 32 where it is not given.
        progress: called after each run, in another thread, with "running", how many runs of both
            programs are done, and how many there are. What it raises ends the call.

    Returns:
        SQNR, cosine, largest error and top-1 agreement of each output, by name; of several samples
        all together, along a first axis.

    Raises:
        ValueError: names or shapes of inputs, states or outputs differ, or the inputs are not
            theirs; or there are several functions and none is named.
        RuntimeError: what the runtime says when it fails.
        ImportError: Core AI is not there.
    """
    from coreai_opt.program import functions, runtime  # noqa: PLC0415  # imports Core AI
    from coreai_opt.program.inputs import random_inputs, split_samples  # noqa: PLC0415  # imports Core AI

    original = runtime.program_of(reference)
    functions.check_same_signature(original, runtime.program_of(program), function)
    if inputs is None:
        inputs = random_inputs(original, seed, function=function, sizes=sizes)
    samples, states = split_samples(original, inputs, function=function)
    done = count(1)

    def tell() -> None:
        if progress is not None:
            progress("running", next(done), 2 * len(samples))

    outputs = (
        runtime.run_samples(run, samples, function=function, states=states, sizes=sizes, tell=tell)
        for run in (reference, program)
    )
    return compare_outputs(*map(_together, outputs))


def _together(samples: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """Return the outputs of all samples in one array each; those of one as they are."""
    if len(samples) == 1:
        return samples[0]
    return {name: np.stack([outputs[name] for outputs in samples]) for name in samples[0]}
