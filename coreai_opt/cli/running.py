"""What ``compare`` and ``quantize`` share: options for running programs, and running them."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, NamedTuple

from coreai_opt.cli.console import print_comparisons, spelled, stdout, steps_bar
from coreai_opt.coreai_utils import compare_programs
from coreai_opt.reports.circumstances import ON_RANDOM, RANDOM_INPUTS

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from coreai_opt.evaluation.output_comparison import Array, OutputComparison
    from coreai_opt.program.functions import Sizes
    from coreai_opt.program.ir import AIModelAsset, AIProgram


def add_function(group: argparse._ActionsContainer) -> None:
    """Add ``--function`` and ``--size``."""
    group.add_argument(
        "--function",
        metavar="NAME",
        help="the function to run (default: the only one; inspect lists them)",
    )
    group.add_argument(
        "--size",
        dest="sizes",
        type=_size,
        action="append",
        default=[],
        metavar="NAME=N",
        help="length of the dimensions that are not fixed of input or state NAME, such as "
        "input_ids=32, or image=224x320 for two of them; may be repeated (default: 32)",
    )


def _size(text: str) -> tuple[str, tuple[int, ...]]:
    """Return what ``input_ids=32`` or ``image=224x320`` say."""
    name, _, lengths = text.rpartition("=")
    numbers = lengths.split("x")
    if not name or not all(number.isascii() and number.isdigit() for number in numbers):
        raise argparse.ArgumentTypeError(
            f"must be a name and a length such as input_ids=32 or image=224x320; got {text!r}"
        )
    return name, tuple(map(int, numbers))


def sizes_of(given: Sequence[tuple[str, tuple[int, ...]]]) -> Sizes:
    """Return the sizes that ``--size`` was given, as ``compare_programs`` takes them."""
    return {name: lengths[0] if len(lengths) == 1 else lengths for name, lengths in given}


class RunOn(NamedTuple):
    """What programs are run on to compare them.

    Attributes:
        inputs: the file that ``arrays`` are from; None for random inputs.
        arrays: what is in it.
        function: the name of the function to run; None for the only one.
        sizes: lengths of dimensions that are not fixed.
        seed: of random inputs.
    """

    inputs: Path | None
    arrays: dict[str, Array] | None
    function: str | None
    sizes: Sizes
    seed: int = 0


class Compared(NamedTuple):
    """What two programs were run on, in words, and how far their outputs are apart."""

    on: str
    outputs: list[OutputComparison]


def compare_on(reference: AIModelAsset, other: AIModelAsset | AIProgram, on: RunOn) -> Compared:
    """Run two programs, the one to compare with and the one to judge, and compare their outputs."""
    with steps_bar("running") as progress:
        comparisons = compare_programs(
            reference,
            other,
            on.arrays,
            seed=on.seed,
            function=on.function,
            sizes=on.sizes,
            progress=progress,
        )
    if on.inputs is not None:
        return Compared(spelled(f"inputs {on.inputs}"), comparisons)
    return Compared(_random(reference, on.function, on.sizes), comparisons)


def print_compared(compared: Compared) -> None:
    """Print how far outputs are apart, and what random inputs say of that."""
    console = stdout()
    print_comparisons(console, f"Outputs on {compared.on}", compared.outputs)
    if compared.on.startswith(ON_RANDOM):
        console.print(RANDOM_INPUTS)


def _random(asset: AIModelAsset, function: str | None, sizes: Sizes) -> str:
    """Say what random inputs are, with the shapes that programs leave open."""
    from coreai_opt.program.functions import find_function, fixed_shape  # noqa: PLC0415  # imports Core AI

    _, signature = find_function(asset.program, function)
    shapes = [
        f"{port.name} {'x'.join(map(str, fixed_shape(port, sizes)))}"
        for port in signature.inputs
        if None in port.shape
    ]
    return " of ".join([ON_RANDOM, *filter(None, [", ".join(shapes)])])
