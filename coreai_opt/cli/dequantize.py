"""``coreai-opt dequantize``: a copy of an asset with its weights as floats again."""

import argparse
import logging
from pathlib import Path

from coreai_opt.cli.console import (
    change,
    doing,
    stdout,
    told_of,
)
from coreai_opt.cli.each_asset import add_assets, add_folder, each_asset
from coreai_opt.cli.parser import (
    Subcommands,
    add_force,
    add_loudness,
)
from coreai_opt.cli.warnings import flush_warnings
from coreai_opt.coreai_utils import dequantize_weights
from coreai_opt.program.assets import (
    asset_bytes,
    check_space,
    load_asset,
    replacing,
    save_asset,
)

logger = logging.getLogger("coreai_opt")


_DEQUANTIZE_EXAMPLES = """\
examples:
  what quantizing did, for a tool that reads float weights:
    coreai-opt quantize model.aimodel int4.aimodel --dtype int4
    coreai-opt dequantize int4.aimodel floats.aimodel"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "dequantize",
        help="write a copy of an asset with its weights as floats again",
        description="Write OUT, a copy of IN with its quantized weights decoded to floats, for "
        "tools that cannot read quantized ones. OUT appears only when it is complete.",
        epilog=_DEQUANTIZE_EXAMPLES,
    )
    parser.set_defaults(run=_run)
    add_assets(parser)
    output = parser.add_argument_group("output")
    add_folder(output)
    add_force(output)
    add_loudness(parser)


def _run(options: argparse.Namespace) -> None:
    def write(source: Path, output: Path | None) -> None:
        assert output is not None  # there is no --dry-run
        dequantize(source, output, force=options.force)

    each_asset(options, write)


def dequantize(source: Path, output: Path, *, force: bool) -> None:
    """Write a copy of the asset ``source``, its weights as floats again, to ``output``.

    Args:
        source: the asset to read; may be ``output``, with ``force``.
        output: the asset to write. It appears, or changes, only when it is complete.
        force: whether ``output`` may exist.

    Raises:
        InputError: a path that cannot be used; ``output`` is untouched.
    """
    from coreai_opt.program.inventory import Inventory  # noqa: PLC0415  # imports Core AI

    with doing(f"reading {source}"):
        asset = load_asset(source)
    program = asset.program
    before, size_before = Inventory(program, 0).counts, asset_bytes(source)
    with doing("decoding weights"):
        dequantize_weights(program, in_place=True)
    after = Inventory(program, 0).counts
    check_space(output, size_before - before.nbytes + after.nbytes)
    with replacing(output, force=force) as path:
        with doing(f"writing {output}"):
            save_asset(program, path, asset)
        size_after = asset_bytes(path)
    dequantized = before.quantized - after.quantized
    if not dequantized:
        logger.warning("no weight was dequantized; %s decodes to what %s does", output, source)
    flush_warnings()
    with told_of(output):
        console = stdout()
        console.print(f"weights  {dequantized} dequantized, {after.quantized} skipped")
        console.print(f"file     {change(size_before, size_after)}")
        console.print(f"wrote    {output}")
