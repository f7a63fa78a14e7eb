"""``coreai-opt sparsify``: a copy of an asset with sparse weights."""

import argparse
from functools import partial

from coreai_opt.cli.each_asset import add_assets
from coreai_opt.cli.parser import (
    Subcommands,
    UsageError,
    choice_of,
    int_at_least,
)
from coreai_opt.cli.writing import add_writing, compress_assets
from coreai_opt.coreai_utils import sparsify_weights
from coreai_opt.settings.enums import EIGHT_BIT_DTYPES

_EXAMPLES = """\
examples:
  without the half of the elements that is nearest to zero:
    coreai-opt sparsify model.aimodel sparse.aimodel --target-sparsity 0.5

  of every 4 neighbours along the input channels 2, in 8 bits:
    coreai-opt sparsify model.aimodel ratio.aimodel --n-m-ratio 2:4 \\
        --quantize-dtype int8"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "sparsify",
        help="write a copy of an asset with sparse weights",
        description="Write OUT, a copy of IN in which the least elements of each weight are zero "
        "and only the others are stored. OUT appears only when it is complete. A weight whose "
        "channels do not fit is left as it is, with a warning.",
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=_run)
    add_assets(parser)
    _add_amount(parser.add_argument_group("sparsity", "What becomes zero."))
    add_writing(parser)


def _add_amount(group: argparse._ArgumentGroup) -> None:
    amount = group.add_mutually_exclusive_group()
    amount.add_argument(
        "--target-sparsity",
        type=_part,
        metavar="PART",
        help="what part of the elements becomes zero, such as 0.5 or 50%%: those of least "
        "magnitude (default: 0.5)",
    )
    amount.add_argument(
        "--n-m-ratio",
        type=_ratio,
        metavar="N:M",
        help="of every M neighbours along the input channels, the N of least magnitude",
    )
    group.add_argument(
        "--block-size",
        type=int_at_least(2),
        metavar="N",
        help="let whole blocks become zero, N neighbours along the output channels (default: "
        "single elements); not beside --n-m-ratio",
    )
    stored = group.add_mutually_exclusive_group()
    formats = [dtype.value for dtype in EIGHT_BIT_DTYPES]
    stored.add_argument(
        "--quantize-dtype",
        type=choice_of(formats),
        choices=formats,
        metavar="FORMAT",
        help="%(choices)s: what elements are stored as, with a scale per output channel, or of "
        "uint8 one for all (default: the weight's dtype)",
    )
    stored.add_argument(
        "--palettize-nbits",
        type=int_at_least(1),
        metavar="N",
        help="store elements as indices of N bits into a look-up table: 1, 2, 3, 4, 6 or 8",
    )


def _part(text: str) -> float:
    try:
        part = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        part = -1.0
    if not 0 <= part <= 1:
        raise argparse.ArgumentTypeError(f"must be from 0 to 1, or 0% to 100%; got {text!r}")
    return part


def _ratio(text: str) -> tuple[int, int]:
    zeros, _, of = text.partition(":")
    if not (zeros.isdecimal() and of.isdecimal()):
        raise argparse.ArgumentTypeError(f"must be two whole numbers such as 2:4; got {text!r}")
    return int(zeros), int(of)


def _run(options: argparse.Namespace) -> None:
    if options.block_size is not None and options.n_m_ratio is not None:
        raise UsageError("--block-size has no place beside --n-m-ratio: leave one out")
    sparsity = options.target_sparsity
    if sparsity is None and options.n_m_ratio is None:
        sparsity = 0.5
    compress_weights = partial(
        sparsify_weights,
        target_sparsity=sparsity,
        n_m_ratio=options.n_m_ratio,
        block_size=options.block_size,
        quantize_dtype=options.quantize_dtype,
        palettize_nbits=options.palettize_nbits,
    )
    compress_assets(options, compress_weights)
