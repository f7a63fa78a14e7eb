"""``coreai-opt inspect``: what an asset contains."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING

from coreai_opt.cli.console import doing, print_table, print_text, stdout
from coreai_opt.cli.contents import contents_of
from coreai_opt.cli.parser import Subcommands, add_json, add_source, add_threshold
from coreai_opt.reports.records import in_functions

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

    from coreai_opt.cli.contents import Contents

_LISTED = 10
"""Constants that are no weights are listed up to this many."""

_INSPECT_EXAMPLES = """\
examples:
  names, shapes and sizes of all weights; rules take these names:
    coreai-opt inspect model.aimodel

  the large ones alone:
    coreai-opt inspect model.aimodel --threshold 100000

  all there is to know, for another program:
    coreai-opt inspect model.aimodel --json"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "inspect",
        help="list the weights of an asset",
        description="List the functions of IN, with what they take and return as --inputs, "
        "--function and --size need it, the weights that can be quantized, those that are "
        "already, and the largest float constants that are neither, and why. A narrow terminal "
        "shows fewer columns; names are always whole.",
        epilog=_INSPECT_EXAMPLES,
    )
    parser.set_defaults(run=_run)
    add_source(parser)
    add_threshold(parser)
    add_json(parser)


def _run(options: argparse.Namespace) -> None:
    inspect(options.source, threshold=options.threshold, as_json=options.json)


def inspect(source: Path, *, threshold: int, as_json: bool) -> None:
    """Print what the asset ``source`` contains.

    Args:
        source: the asset.
        threshold: weights with at most this many elements are not listed.
        as_json: whether to print JSON in place of tables.

    Raises:
        InputError: it is no asset that can be read.
    """
    with doing(f"reading {source}"):
        contents = contents_of(source, threshold)
    if as_json:
        print_text(json.dumps(contents.to_json(), indent=2))
        return
    console = stdout()
    _print_asset(console, contents)
    _print_functions(console, contents)
    _print_weights(console, contents)
    _print_compressed(console, contents)
    _print_others(console, contents)
    _print_totals(console, contents)


def _print_asset(console: Console, contents: Contents) -> None:
    console.print(f"{contents.name}, {contents.nbytes:,} bytes", style="bold")
    for key, value in contents.metadata.items():
        console.print(f" {key}: {value}")
    console.print()


def _print_functions(console: Console, contents: Contents) -> None:
    found = contents.functions
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
        least=("function",) if len(found) == 1 else ("dtype",),
    )
    console.print()


def _print_weights(console: Console, contents: Contents) -> None:
    print_table(
        console,
        f"{len(contents.weights)} weights can be quantized",
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
            for w in contents.weights
        ),
        least=("location", "shape", "used by", "dtype"),
    )
    console.print()


def _print_compressed(console: Console, contents: Contents) -> None:
    print_table(
        console,
        f"{len(contents.compressed)} weights are quantized",
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
            for q in contents.compressed
        ),
        least=("location", "shape", "used by", "scales", "scheme", "blocks", "format"),
    )
    console.print()


def _print_others(console: Console, contents: Contents) -> None:
    """Print what is no weight, the largest first."""
    census = contents.census
    others = census.others[:_LISTED]
    listed = f", the largest {_LISTED} of them" if len(others) < len(census.others) else ""
    print_table(
        console,
        f"{len(census.others)} float constants of {census.other_nbytes:,} bytes are no weights to "
        f"quantize{listed}",
        ("constant", "shape", "dtype", "used by", ">bytes", "why"),
        ((o.name, o.shape, o.format, o.consumers, o.nbytes, o.reason) for o in others),
        least=("shape", "used by", "dtype", "why"),
    )
    console.print()


def _print_totals(console: Console, contents: Contents) -> None:
    """Print how many bytes are of which kind, and the bits per weight of all together."""
    weights = sum(weight.nbytes for weight in contents.weights)
    compressed = sum(weight.nbytes for weight in contents.compressed)
    census = contents.census
    print_table(
        console,
        "All together",
        ("of the asset", ">constants", ">bytes"),
        (
            ("weights that can be quantized", len(contents.weights), weights),
            ("weights that are quantized", len(contents.compressed), compressed),
            ("other float constants", len(census.others), census.other_nbytes),
            ("the program and the rest", "", contents.nbytes - census.nbytes),
        ),
    )
    console.print()
    console.print(f"{census.bits_per_weight:.2f} bits per weight, of all float constants together")
