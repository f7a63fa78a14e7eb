"""``coreai-opt compare``: how far the outputs of two assets are apart."""

import argparse
from pathlib import Path

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.console import (
    print_comparisons,
    stdout,
)
from coreai_opt.cli.parser import (
    Subcommands,
    decibels,
    int_at_least,
)
from coreai_opt.coreai_utils import compare_programs
from coreai_opt.evaluation.output_comparison import check_quality
from coreai_opt.program.assets import (
    load_asset,
)

_COMPARE_EXAMPLES = """\
examples:
  on random inputs:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8
    coreai-opt compare model.aimodel int8.aimodel

  on recorded ones, in a script that must fail if it is worse than 30 dB:
    coreai-opt compare model.aimodel int8.aimodel --inputs inputs.npz \\
        --min-sqnr 30

exit codes:
  0; 1 if an output has less SQNR than --min-sqnr; 2 after an error"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "compare",
        help="run two assets on the same inputs and compare their outputs",
        description="Run A and B on Core AI's runtime, on the same inputs, and print how far each "
        "output of B is from that of A: SQNR; cosine similarity; the largest absolute error; and "
        "top-1, the share of rows along the last axis whose largest elements stand in the same "
        "place.",
        epilog=_COMPARE_EXAMPLES,
    )
    parser.set_defaults(run=_run, needs_core_ai=True)
    parser.add_argument("reference", metavar="A.aimodel", type=Path, help="asset to compare with")
    parser.add_argument("other", metavar="B.aimodel", type=Path, help="asset to judge")
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input, by name, as numpy.savez writes them, or of several samples "
        "(default: random; floats are normal, integers rows of the table that they select from or "
        "else 1, booleans true)",
    )
    inputs.add_argument(
        "--seed",
        type=int_at_least(0),
        default=0,
        metavar="N",
        help="seed of the random inputs (default: %(default)s)",
    )
    parser.add_argument_group("judging").add_argument(
        "--min-sqnr",
        type=decibels,
        metavar="DB",
        help="exit with code 1 if any output has less SQNR than this",
    )


def _run(options: argparse.Namespace) -> None:
    compare(
        options.reference,
        options.other,
        inputs=options.inputs,
        seed=options.seed,
        min_sqnr=options.min_sqnr,
    )


def compare(
    reference: Path, other: Path, *, inputs: Path | None, seed: int, min_sqnr: float | None
) -> None:
    """Run two assets on the same inputs, and print how far their outputs are from each other.

    Args:
        reference: the asset to compare with.
        other: the asset to judge.
        inputs: an ``.npz`` file with an array for each input; None for random ones.
        seed: of the random ones.
        min_sqnr: the SQNR in dB that each output must have, or None.

    Raises:
        QualityError: an output has less.
        ValueError: an asset or a file that cannot be read, or that does not fit.
    """
    assets = load_asset(reference), load_asset(other)
    arrays = None if inputs is None else load_arrays(inputs)
    comparisons = compare_programs(*assets, arrays, seed=seed)
    print_comparisons(
        stdout(), "random inputs" if inputs is None else f"inputs {inputs}", comparisons
    )
    if min_sqnr is not None:
        check_quality(comparisons, min_sqnr)
