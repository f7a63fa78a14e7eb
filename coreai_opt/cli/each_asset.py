"""Which assets a command reads and writes: one, or several that go to a folder."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from coreai_opt.cli import messages
from coreai_opt.cli.console import stdout
from coreai_opt.cli.parser import LATE_WORDS, Parser, UsageError, add_source, option_of, say
from coreai_opt.cli.warnings import flush_warnings
from coreai_opt.exceptions import InputError, QualityError
from coreai_opt.program.assets import SUFFIX, check_destination

__all__ = ["add_assets", "add_folder", "each_asset"]

_OF_ONE = ("report", "plan_out", "calibration")
"""Options with a file that is about one asset."""

Write: TypeAlias = Callable[[Path, Path | None], None]
"""Reads an asset and writes another, or nothing for None."""


def add_assets(parser: Parser) -> None:
    """Add IN and OUT."""
    add_source(parser)
    parser.add_argument(
        LATE_WORDS,
        metavar="OUT.aimodel",
        type=Path,
        nargs="*",
        default=[],
        help="asset to write; with -o, more assets to read",
    )


def add_folder(group: argparse._ArgumentGroup) -> None:
    """Add ``-o``, which may stand for OUT."""
    group.add_argument(
        "-o",
        "--output",
        metavar="FOLDER",
        type=Path,
        help="write what becomes of each asset to FOLDER, under its own name; FOLDER is made if "
        "need be",
    )


def each_asset(options: argparse.Namespace, write: Write) -> None:
    """Do what a command does for each asset that was named.

    Where one of several fails, that is said, and the others are written all the same.

    Args:
        options: what was typed: what ``add_assets`` and ``add_folder`` add, ``force``, and perhaps
            ``dry_run``.
        write: what the command does.

    Raises:
        InputError: assets that cannot be read or written, before the first is read; or, where there
            are several, some that failed, after the last.
        QualityError: some of several are not as they should be.
    """
    pairs = _pairs(options)
    if len(pairs) == 1:
        write(*pairs[0])
        return
    failed, poor = 0, 0
    for source, output in pairs:
        stdout().print(str(source), style="bold")
        try:
            write(source, output)
        except UsageError:
            raise  # what is wrong with the options is wrong for all
        except QualityError as error:
            poor += 1
            _say_of(source, error)
        except messages.EXPECTED_ERRORS as error:
            failed += 1
            _say_of(source, error)
    if failed:
        raise InputError(f"{failed} of {len(pairs)} assets failed; the others are done")
    if poor:
        raise QualityError(f"{poor} of {len(pairs)} assets are not as they should be")


def _say_of(source: Path, error: Exception) -> None:
    flush_warnings()
    text = messages.of_error(error)
    say("error", text if str(source) in text else f"{source}: {text}")


def _pairs(options: argparse.Namespace) -> list[tuple[Path, Path | None]]:
    """Return the assets to read, each with the one to write."""
    words: list[Path] = getattr(options, LATE_WORDS)
    folder: Path | None = options.output
    if folder is None:
        return [(options.source, _only_output(options, words))]
    sources = [options.source, *words]
    if len(sources) > 1:
        _check_several(options, folder)
    elif folder.suffix == SUFFIX:
        return [(options.source, _only_output(options, [folder]))]
    if getattr(options, "dry_run", False):
        return [(source, None) for source in sources]
    outputs = [folder / source.name for source in sources]
    _check_names(sources, outputs)
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"-o must be a folder; {folder} is a file")
    folder.mkdir(parents=True, exist_ok=True)
    for output in outputs:
        check_destination(output, force=options.force)
    return list(zip(sources, outputs, strict=True))


def _only_output(options: argparse.Namespace, words: list[Path]) -> Path | None:
    """Return the asset to write, of the words that follow the one to read."""
    if len(words) > 1:
        raise UsageError(
            f"there is one argument too many: {words[1]}; several assets need -o FOLDER"
        )
    dry_run: bool | None = getattr(options, "dry_run", None)  # None where there is no such option
    if dry_run:
        return None
    if not words:
        or_none = "" if dry_run is None else ", or --dry-run to write nothing"
        raise UsageError(f"OUT.aimodel or -o FOLDER is needed{or_none}")
    check_destination(words[0], force=options.force)
    return words[0]


def _check_several(options: argparse.Namespace, folder: Path) -> None:
    """Check that what was typed can be meant of several assets."""
    for name in _OF_ONE:
        if getattr(options, name, None) is not None:
            raise UsageError(
                f"{option_of(name)} is a file about one asset: leave it out, or give the assets "
                "one at a time"
            )
    if folder.suffix == SUFFIX:
        raise UsageError(f"-o must be a folder where several assets are given; got {folder}")


def _check_names(sources: list[Path], outputs: list[Path]) -> None:
    """Check that no asset takes the place of another, also where upper case means nothing."""
    taken: dict[str, Path] = {}
    for source, output in zip(sources, outputs, strict=True):
        other = taken.setdefault(output.name.casefold(), source)
        if other is not source:
            raise UsageError(f"{other} and {source} would both be written to {output}")
