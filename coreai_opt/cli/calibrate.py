"""``coreai-opt calibrate``: what the weights of an asset are multiplied with, in a file."""

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING

from coreai_opt.arrays.npz import load_arrays
from coreai_opt.cli.console import doing, sample_bar, stdout
from coreai_opt.cli.parser import (
    Subcommands,
    UsageError,
    add_force,
    add_loudness,
    add_source,
    add_threshold,
    int_at_least,
)
from coreai_opt.cli.running import add_function, sizes_of
from coreai_opt.coreai_utils import calibrate as calibrate_program
from coreai_opt.program.assets import SUFFIX, load_asset

if TYPE_CHECKING:
    from coreai_opt.program.functions import Sizes

_EXAMPLES = """\
examples:
  on recorded inputs, once for all formats:
    coreai-opt calibrate model.aimodel model.calibration --inputs inputs.npz

  one function of several, on images of which 200 pixels are enough:
    coreai-opt calibrate model.aimodel main.calibration --inputs inputs.npz \\
        --function main --max-rows 200"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "calibrate",
        help="run an asset on samples and write what its weights are multiplied with",
        description="Run IN on samples on Core AI's runtime, and write the second moments of what "
        "each of its weights is multiplied with to OUT. quantize --calibration OUT rounds weights "
        "so that the outputs of their layers change least.",
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=_run)
    add_source(parser)
    parser.add_argument("output", metavar="OUT.calibration", type=Path, help="file to write")
    inputs = parser.add_argument_group("samples")
    inputs.add_argument(
        "--inputs",
        type=Path,
        required=True,
        metavar="FILE.npz",
        help="an array for each input, by name, with an axis in front that counts the samples; "
        "also for states, which start as zeros otherwise",
    )
    add_function(inputs)
    inputs.add_argument(
        "--max-rows",
        type=int_at_least(1),
        default=1024,
        metavar="N",
        help="positions (tokens, pixels) of a sample that count for a weight; of more so many at "
        "random (default: %(default)s)",
    )
    add_mask(inputs)
    add_threshold(inputs)
    add_force(parser.add_argument_group("output"))
    add_loudness(parser)


def _run(options: argparse.Namespace) -> None:
    calibrate(
        options.source,
        options.output,
        inputs=options.inputs,
        function=options.function,
        sizes=sizes_of(options.sizes),
        max_rows=options.max_rows,
        mask=options.mask,
        threshold=options.threshold,
        force=options.force,
    )


def calibrate(
    source: Path,
    output: Path,
    *,
    inputs: Path,
    function: str | None,
    sizes: "Sizes",
    max_rows: int,
    mask: str | None,
    threshold: int,
    force: bool,
) -> None:
    """Run an asset on samples, write its calibration, and sum it up.

    Args:
        source: the asset.
        output: the file to write; it appears only when it is complete.
        inputs: an ``.npz`` file of samples.
        function: the name of the function to run; None for the only one.
        sizes: lengths of dimensions that are not fixed, of states that start as zeros.
        max_rows, mask, threshold: ``max_rows``, ``mask`` and ``weight_num_threshold`` of
            ``calibrate``.
        force: whether ``output`` may exist.

    Raises:
        InputError: an asset or a file that cannot be used; ``output`` is untouched.
    """
    from coreai_opt.program.inputs import split_samples  # noqa: PLC0415  # imports Core AI

    _check_output(output, force=force)
    started = time.perf_counter()
    with doing(f"reading {source}"):
        program = load_asset(source).program
    arrays = load_arrays(inputs)
    samples, states = split_samples(program, arrays, function=function)
    with sample_bar(len(samples)) as progress:
        calibration = calibrate_program(
            program,
            samples,
            function=function,
            states=states,
            sizes=sizes,
            mask=mask,
            weight_num_threshold=threshold,
            max_rows=max_rows,
            progress=progress,
        )
    with doing(f"writing {output}"):
        calibration.save(output)
    console = stdout()
    console.print(f"samples  {calibration.samples}")
    console.print(f"weights  {len(calibration.moments)} calibrated, {len(calibration.left)} not")
    for name, reason in calibration.left.items():
        console.print(f"         {name}: {reason}")
    console.print(f"file     {output.stat().st_size:,} bytes")
    console.print(f"time     {time.perf_counter() - started:.2f} s")


def add_mask(group: argparse._ArgumentGroup) -> None:
    """Add the option that names the input that says which positions count."""
    group.add_argument(
        "--mask",
        metavar="NAME",
        help="an input with 0 for the positions that do not count, such as the attention mask of "
        "padded text",
    )


def _check_output(output: Path, *, force: bool) -> None:
    if output.suffix in {SUFFIX, ".npz", ""}:
        raise UsageError(f"the output must end in .calibration; got {output}")
    if not output.parent.is_dir():
        raise UsageError(f"there is no folder {output.parent} to write {output.name} to")
    if output.is_dir() or (output.exists() and not force):
        raise UsageError(f"{output} exists; use --force to replace it")
