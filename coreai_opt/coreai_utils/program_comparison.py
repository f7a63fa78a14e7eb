"""``compare_programs``: what two Core AI programs compute from the same inputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from coreai_opt.evaluation.output_comparison import OutputComparison, compare_outputs

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from coreai_opt.evaluation.output_comparison import Array
    from coreai_opt.program.ir import AIModelAsset, AIProgram


def compare_programs(
    reference: AIProgram | AIModelAsset,
    program: AIProgram | AIModelAsset,
    inputs: Mapping[str, Array] | None = None,
    *,
    seed: int = 0,
) -> list[OutputComparison]:
    """Run two programs on Core AI's runtime and compare what comes out.

    Both run their graph ``main``, once for each sample. Programs are saved to a temporary folder
    for that, which assets need not be.

    Args:
        reference: the program to compare with, e.g. the one that was quantized.
        program: the other, with inputs and outputs of the same names and shapes.
        inputs: one array per input, by name; arrays of one axis more than the inputs hold one
            sample per index of the first. Made up unless given: floats are normal then, integers
            that select rows of a table, such as the ids of tokens, uniform over its rows, other
            integers 1 and booleans true.
        seed: of the inputs that are made up.

    Returns:
        SQNR, cosine, largest error and top-1 agreement of each output, by name; of several samples
        all together, along a first axis.

    Raises:
        ValueError: names or shapes of inputs or outputs differ, or the inputs are not theirs.
        RuntimeError: what the runtime says when it fails.
        ImportError: Core AI is not there.
    """
    from coreai_opt.program import runtime  # noqa: PLC0415  # imports Core AI: half a second
    from coreai_opt.program.inputs import random_inputs, split_samples  # noqa: PLC0415

    original = runtime.program_of(reference)
    runtime.check_same_signature(original, runtime.program_of(program))
    if inputs is None:
        inputs = random_inputs(original, seed)
    samples = split_samples(original, inputs)
    outputs = (runtime.run_samples(run, samples) for run in (reference, program))
    return compare_outputs(*map(_together, outputs))


def _together(samples: Sequence[Mapping[str, Array]]) -> Mapping[str, Array]:
    """Return the outputs of all samples in one array each; those of one as they are."""
    if len(samples) == 1:
        return samples[0]
    return {name: np.stack([outputs[name] for outputs in samples]) for name in samples[0]}
