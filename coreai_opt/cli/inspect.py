"""``coreai-opt inspect``: the weights of an asset."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from coreai_opt.cli.console import (
    print_table,
    stdout,
)
from coreai_opt.cli.parser import (
    Subcommands,
    add_source,
    add_threshold,
)
from coreai_opt.program.assets import (
    load_asset,
)
from coreai_opt.reports.records import in_functions

if TYPE_CHECKING:
    from rich.console import Console

    from coreai_opt.program.ir import AIProgram
    from coreai_opt.reports.records import Census

_LISTED = 10
"""Constants that are no weights are listed up to this many."""

_INSPECT_EXAMPLES = """\
examples:
  names, shapes and sizes of all weights; rules take these names:
    coreai-opt inspect model.aimodel

  the large ones alone:
    coreai-opt inspect model.aimodel --threshold 100000"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="list the weights of an asset",
        description="List the functions of IN, with what they take and return as --inputs, "
        "--function and --size need it, the weights that can be quantized, those that are "
        "already, and the largest float constants that are neither, and why.",
        epilog=_INSPECT_EXAMPLES,
    )
    parser.set_defaults(run=_run, needs_core_ai=True)
    add_source(parser)
    add_threshold(parser)


def _run(options: argparse.Namespace) -> None:
    inspect(options.source, threshold=options.threshold)


def inspect(source: Path, *, threshold: int) -> None:
    """Print the functions of the asset ``source``, its weights, and those that are quantized.

    Args:
        source: the asset.
        threshold: weights with at most this many elements are not listed.

    Raises:
        InputError: it is no asset that can be read.
    """
    from coreai_opt.program.census import take_census  # noqa: PLC0415  # imports Core AI
    from coreai_opt.program.weights import find_quantized, find_weights  # noqa: PLC0415

    program = load_asset(source).program
    weights, quantized = find_weights(program, threshold), find_quantized(program)
    console = stdout()
    _print_functions(console, program)
    console.print()
    print_table(
        console,
        f"{len(weights)} weights can be quantized",
        ("weight", "shape", "dtype", "used by", ">bytes", "location"),
        (
            (
                in_functions(w.name, w.functions),
                w.shape,
                w.dtype,
                w.consumers,
                w.nbytes,
                w.location,
            )
            for w in weights
        ),
    )
    console.print()
    print_table(
        console,
        f"{len(quantized)} weights are quantized",
        (
            "weight",
            "shape",
            "format",
            "scheme",
            "blocks",
            "scales",
            "used by",
            ">bytes",
            "location",
        ),
        (
            (
                in_functions(q.name, q.functions),
                q.shape,
                q.format,
                q.qscheme or "unknown",
                f"{q.granularity} {q.block_sizes}",
                f"{q.num_scales:,} {q.scale_dtype}",
                q.consumers,
                q.nbytes,
                q.location,
            )
            for q in quantized
        ),
    )
    console.print()
    _print_census(console, take_census(program, threshold))


def _print_census(console: "Console", census: "Census") -> None:
    """Print what is no weight, the largest first, and the bits per weight of all together."""
    others = census.others[:_LISTED]
    listed = f", the largest {_LISTED} of them" if len(others) < len(census.others) else ""
    print_table(
        console,
        f"{len(census.others)} float constants of {census.other_nbytes:,} bytes are no weights to "
        f"quantize{listed}",
        ("constant", "shape", "dtype", "used by", ">bytes", "why"),
        ((o.name, o.shape, o.format, o.consumers, o.nbytes, o.reason) for o in others),
    )
    console.print()
    console.print(f"{census.bits_per_weight:.2f} bits per weight, of all float constants together")


def _print_functions(console: "Console", program: "AIProgram") -> None:
    from coreai_opt.program.ir import functions  # noqa: PLC0415  # imports Core AI

    found = functions(program)
    print_table(
        console,
        f"{len(found)} function{'' if len(found) == 1 else 's'} can be run",
        ("function", "kind", "name", "dtype", "shape"),
        (
            (name, kind, port.name, port.dtype or port.type, f"({', '.join(port.sizes)})")
            for name, signature in found.items()
            for kind, ports in zip(("input", "state", "output"), signature, strict=True)
            for port in ports
        ),
    )
