"""``coreai-opt compare``: how far the outputs of two assets are apart."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.console import print_text
from coreai_opt.cli.parser import (
    Subcommands,
    add_json,
    int_at_least,
    parse_decibels,
)
from coreai_opt.cli.running import RunOn, add_function, compare_on, print_compared, sizes_of
from coreai_opt.evaluation.output_comparison import check_quality
from coreai_opt.program.assets import load_asset
from coreai_opt.reports.outputs import outputs_as_json

if TYPE_CHECKING:
    from coreai_opt.program.functions import Sizes

SCHEMA_VERSION = 1
"""Of the JSON: raised when a key goes away or means something else."""

_COMPARE_EXAMPLES = """\
examples:
  on random inputs:
    coreai-opt quantize model.aimodel int8.aimodel --dtype int8
    coreai-opt compare model.aimodel int8.aimodel

  on recorded ones, in a script that must fail if it is worse than 30 dB:
    coreai-opt compare model.aimodel int8.aimodel --inputs inputs.npz \\
        --min-sqnr 30

  a function by its name, which is needed where there are several:
    coreai-opt compare model.aimodel int8.aimodel --function main

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
    parser.set_defaults(run=_run)
    parser.add_argument("reference", metavar="A.aimodel", type=Path, help="asset to compare with")
    parser.add_argument("other", metavar="B.aimodel", type=Path, help="asset to judge")
    inputs = parser.add_argument_group("inputs")
    inputs.add_argument(
        "--inputs",
        type=Path,
        metavar="FILE.npz",
        help="an array for each input, by name, as numpy.savez writes them, or of several samples "
        "(default: random; floats are normal, integers rows of the table that they select from or "
        "else 1, booleans true); also for states, which start as zeros otherwise",
    )
    add_function(inputs)
    inputs.add_argument(
        "--seed",
        type=int_at_least(0),
        default=0,
        metavar="N",
        help="seed of the random inputs (default: %(default)s)",
    )
    parser.add_argument_group("judging").add_argument(
        "--min-sqnr",
        type=parse_decibels,
        metavar="DB",
        help="exit with code 1 if any output has less SQNR than this",
    )
    add_json(parser.add_argument_group("output"))


def _run(options: argparse.Namespace) -> None:
    compare(
        options.reference,
        options.other,
        inputs=options.inputs,
        function=options.function,
        sizes=sizes_of(options.sizes),
        seed=options.seed,
        min_sqnr=options.min_sqnr,
        as_json=options.json,
    )


def compare(
    reference: Path,
    other: Path,
    *,
    inputs: Path | None,
    function: str | None,
    sizes: "Sizes",
    seed: int,
    min_sqnr: float | None,
    as_json: bool,
) -> None:
    """Run two assets on the same inputs, and print how far their outputs are from each other.

    Args:
        reference: the asset to compare with.
        other: the asset to judge.
        inputs: an ``.npz`` file with an array for each input; None for random ones.
        function: the name of the function to run; None for the only one.
        sizes: lengths of dimensions that are not fixed.
        seed: of the random ones.
        min_sqnr: the SQNR in dB that each output must have, or None.
        as_json: whether to print JSON in place of a table.

    Raises:
        QualityError: an output has less.
        InputError: an asset or a file that cannot be read, or that does not fit.
    """
    assets = load_asset(reference), load_asset(other)
    arrays = None if inputs is None else load_arrays(inputs)
    compared = compare_on(*assets, RunOn(inputs, arrays, function, sizes, seed))
    if as_json:
        content = {
            "schema_version": SCHEMA_VERSION,
            "reference": str(reference),
            "other": str(other),
            "inputs": compared.on,
            "outputs": outputs_as_json(compared.outputs),
        }
        print_text(json.dumps(content, indent=2, allow_nan=False))
    else:
        print_compared(compared)
    if min_sqnr is not None:
        check_quality(compared.outputs, min_sqnr)
