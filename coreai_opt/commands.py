"""What the subcommands of ``coreai-opt`` do, for options that ``cli.py`` has parsed."""

import logging
from pathlib import Path

from coreai_opt.assets import asset_bytes, check_destination, check_space, load_asset, replacing
from coreai_opt.compare import check_quality
from coreai_opt.coreai_utils import compare_programs, dequantize_weights
from coreai_opt.program.candidates import count_weights, find_quantized, find_weights
from coreai_opt.program.inputs import load_arrays
from coreai_opt.quantize_command import quantize
from coreai_opt.report import change, print_comparisons, print_table, stdout

__all__ = ["compare", "dequantize", "inspect", "quantize"]

logger = logging.getLogger("coreai_opt")


def dequantize(source: Path, output: Path, *, force: bool) -> None:
    """Write a copy of the asset ``source``, its weights as floats again, to ``output``.

    Args:
        source: the asset to read; may be ``output``, with ``force``.
        output: the asset to write. It appears, or changes, only when it is complete.
        force: whether ``output`` may exist.

    Raises:
        ValueError: a path that cannot be used; ``output`` is untouched.
    """
    check_destination(output, force=force)
    asset = load_asset(source)
    program = asset.program
    before, size_before = count_weights(program, 0), asset_bytes(source)
    dequantize_weights(program, in_place=True)
    after = count_weights(program, 0)
    check_space(output, size_before - before.nbytes + after.nbytes)
    with replacing(output, force=force) as path:
        program.save_asset(path, metadata=asset.metadata)
    dequantized = before.quantized - after.quantized
    if not dequantized:
        logger.warning("no weight was dequantized; %s decodes to what %s does", output, source)
    console = stdout()
    console.print(f"weights  {dequantized} dequantized, {after.quantized} skipped")
    console.print(f"file     {change(size_before, asset_bytes(output))}")


def inspect(source: Path, *, threshold: int) -> None:
    """Print the weights of the asset ``source``: those to quantize, and those that are quantized.

    Args:
        source: the asset.
        threshold: weights with at most this many elements are not listed.

    Raises:
        ValueError: it is no asset that can be read.
    """
    program = load_asset(source).program
    weights, quantized = find_weights(program, threshold), find_quantized(program)
    console = stdout()
    print_table(
        console,
        f"{len(weights)} weights can be quantized",
        ("weight", "shape", "dtype", "used by", ">bytes", "location"),
        ((w.name, w.shape, w.dtype, w.consumers, w.nbytes, w.location) for w in weights),
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
                q.name,
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
