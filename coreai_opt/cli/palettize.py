"""``coreai-opt palettize``: a copy of an asset with look-up tables for weights."""

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.each_asset import add_assets
from coreai_opt.cli.parser import (
    Subcommands,
    UsageError,
    choice_of,
    int_at_least,
    option_of,
)
from coreai_opt.cli.writing import add_preset, add_writing, compress_assets
from coreai_opt.coreai_utils import palettize_weights
from coreai_opt.settings.enums import CompressionGranularity, Observer
from coreai_opt.settings.presets import find_preset
from coreai_opt.settings.settings import OF_TABLES, TABLE_DEFAULTS, Settings, describe
from coreai_opt.settings.tables import GRANULARITIES

_EXAMPLES = """\
examples:
  a table of 16 entries for each 32 output channels, as for the Neural Engine:
    coreai-opt palettize model.aimodel lut4.aimodel \\
        --n-bits 4 --granularity per_grouped_channel

  these tables by the name of their recipe:
    coreai-opt palettize model.aimodel iphone.aimodel --preset iphone-4bit

  3 bits, with one table for each weight and a scale for each 32 input channels:
    coreai-opt palettize model.aimodel lut3.aimodel --n-bits 3 \\
        --scale-block-size 32

  what would become of each weight, without writing anything:
    coreai-opt palettize model.aimodel --n-bits 6 --dry-run"""

_DEFAULTS = replace(TABLE_DEFAULTS, n_bits=4)


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "palettize",
        help="write a copy of an asset with look-up tables for weights",
        description="Write OUT, a copy of IN with its weights replaced by indices into look-up "
        "tables, which have the least squared error there is. OUT appears only when it is "
        "complete. A weight that cannot have such tables is left as it is, with a warning.",
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=_run)
    add_assets(parser)
    _add_tables(parser.add_argument_group("tables", "What weights become."))
    add_writing(parser)


def _add_tables(group: argparse._ArgumentGroup) -> None:
    add_preset(group, of_tables=True)
    for name, description in describe(OF_TABLES):
        if name == "granularity":
            group.add_argument(
                "--granularity",
                type=choice_of([member.value for member in GRANULARITIES]),
                choices=[member.value for member in GRANULARITIES],
                metavar="WHICH",
                help="which elements of a weight share a table: %(choices)s (default: "
                f"{CompressionGranularity.PER_TENSOR})",
            )
        elif name == "observer":
            group.add_argument(
                "--observer",
                type=choice_of(description.choices),
                choices=description.choices,
                metavar=description.metavar,
                help="how scales of channels or blocks are found: minmax takes the largest "
                "magnitude, mse fits scales and tables to each other, which is slower (default: "
                f"{Observer.MINMAX})",
            )
        elif description.default is False:
            group.add_argument(option_of(name), action="store_true", help=description.help)
        else:
            group.add_argument(
                option_of(name),
                type=choice_of(description.choices) if description.choices else int_at_least(1),
                choices=description.choices or None,
                metavar=description.metavar,
                help=description.help
                + (f" (default: {_DEFAULTS.n_bits})" if name == "n_bits" else ""),
            )
    group.add_argument(
        "--importance",
        type=Path,
        metavar="FILE.npz",
        help="what squared errors count: an array of one number per input channel for each weight "
        "that it names as inspect does",
    )


def _run(options: argparse.Namespace) -> None:
    said = Settings.among(options)
    if options.preset is not None:
        said = find_preset(options.preset).settings.merge(said)
    per_group = CompressionGranularity.PER_GROUPED_CHANNEL
    if said.group_size is not None and said.granularity != per_group:
        raise UsageError("--group-size needs --granularity per_grouped_channel")
    settings = _DEFAULTS.merge(said)
    importance = None if options.importance is None else load_arrays(options.importance)
    arguments = settings.arguments(OF_TABLES)
    compress_assets(options, partial(palettize_weights, **arguments, importance=importance))
