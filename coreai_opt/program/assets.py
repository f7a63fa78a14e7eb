"""Assets on disk: load one that Core AI can open, write one without ever losing anything else.

An ``.aimodel`` is a folder; Core AI keeps the program in ``main.mlirb``, its SHA-256 in
``main.hash``, and who made it in ``metadata.json``.
"""

from __future__ import annotations

import difflib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coreai_opt.exceptions import CoreAIError, InputError
from coreai_opt.program.digest import digest_of
from coreai_opt.program.temporary import replacing_file, temporary_folder

if TYPE_CHECKING:
    from coreai_opt.program.ir import AIModelAsset, AIProgram

SUFFIX = ".aimodel"
_PROGRAM = "main.mlirb"
_DIGEST = "main.hash"
_METADATA = "metadata.json"
_BYTECODE_MAGIC = b"ML\xefR"

_OWN_FILES = {_PROGRAM, _DIGEST, _METADATA}
_DERIVED = {".odix", ".debuginfo"}
"""What Core AI makes of a program and keeps beside it; of no use beside another program."""


def load_asset(path: Path) -> AIModelAsset:
    """Load an asset whose program can be opened.

    Core AI 1.0.0b3 ends the whole process on a program file that is missing, damaged or written by
    coreai-core 1.0.0b1. So the file is checked against its digest before it is handed over; where
    there is no digest, or the metadata do not say who made it, another process opens it first.

    Args:
        path: the asset's folder.

    Raises:
        InputError: there is no asset there, or it is damaged, or Core AI cannot open it.
    """
    if not path.is_dir():
        raise InputError(f"{path} {_what_is_there(path)}")
    _check_is_utf8(path)
    importing = threading.Thread(target=_import_core_ai)
    importing.start()
    has_digest = _check_program(path)
    importing.join()
    from coreai_opt.program.ir import AIModelAsset  # noqa: PLC0415  # imports Core AI

    try:
        asset = AIModelAsset.load(path)
        asset.metadata  # noqa: B018  # read now, so that a damaged file is known now
    except RuntimeError as error:
        raise InputError(
            f"{path} is damaged: its metadata cannot be read ({error}); {_ANEW}"
        ) from None
    if not (has_digest and _has_producer(path)):
        _check_opens(path)
    return asset


def _import_core_ai() -> None:
    """Import Core AI, in a thread: it takes half a second, in which a program can be read.

    Ctrl-C, which stops the main thread alone, does not stop it: Core AI's extension modules end the
    process when they are interrupted half imported.
    """
    with suppress(ImportError):  # which the next import raises again
        import coreai_opt.program.ir  # noqa: F401, PLC0415


def save_asset(program: AIProgram, path: Path, like: AIModelAsset) -> None:
    """Write a program to ``path``, with the metadata of the asset ``like``.

    Raises:
        CoreAIError: Core AI cannot write it; the message says why.
        OSError: the system cannot, for instance because the disk is full.
    """
    from coreai_opt.program import ir  # noqa: PLC0415  # imports Core AI

    try:
        ir.save(program, path, like.metadata)
    except RuntimeError as error:
        raise CoreAIError(str(error)) from error


def asset_bytes(path: Path) -> int:
    """Return the size of an asset on disk: the sum of its files, in bytes."""
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def read_metadata(path: Path) -> dict[str, Any]:
    """Return what an asset's metadata say, by Core AI's keys; empty where they cannot be read."""
    try:
        metadata = json.loads((path / _METADATA).read_bytes())
    except (OSError, ValueError):
        return {}
    return metadata if isinstance(metadata, dict) else {}


def check_destination(path: Path, *, force: bool) -> None:
    """Check that an asset can be written to ``path``, before any work is done for it.

    Args:
        path: where the asset shall be.
        force: whether what stands there may be replaced.

    Raises:
        InputError: the path cannot be used; the message says why.
    """
    if path.suffix != SUFFIX:
        raise InputError(f"the output must end in {SUFFIX}, e.g. {path}{SUFFIX}; got {path}")
    _check_is_utf8(path)
    if not path.parent.is_dir():
        raise InputError(f"there is no folder {path.parent} to write {path.name} to: make it first")
    if os.path.lexists(path) and not force:
        raise InputError(f"{path} exists; use --force to replace it")
    _check_holds_nothing_else(path)


def check_space(path: Path, size: int) -> None:
    """Check that the disk has room for an asset; Core AI ends the process when a write fails.

    Args:
        path: where the asset shall be.
        size: bytes it will take.

    Raises:
        InputError: the disk has too little room.
    """
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise InputError(
            f"{path} needs {size:,} bytes; {free:,} bytes are free: make room, or write to another "
            "disk"
        )


@contextmanager
def replacing(path: Path, *, force: bool) -> Iterator[Path]:
    """Put a new asset at ``path`` in one step: what is there stays until the new one is complete.

    Of several processes that write to ``path`` the last one with ``force`` wins; without it, all
    but the first are refused.

    A process that is killed leaves its unfinished asset behind, in a hidden folder beside ``path``
    that nothing uses. One that is killed between the two renames that swap two assets leaves none
    at ``path``, but the new one in that folder and the old one beside it, both whole.

    Args:
        path: where the asset shall be.
        force: whether what stands there may be replaced.

    Yields:
        a path beside ``path`` to write the asset to. It is moved into place when the block ends,
        and removed when the block raises.

    Raises:
        OSError: it cannot be moved there; without ``force`` also where there is an asset by now.
        InputError: by now there are other files in what would be replaced.
    """
    with temporary_folder(path.parent, f".{path.stem}-") as staging:
        new = staging / path.name
        yield new
        with _alone_in(path.parent):
            if force:
                _check_holds_nothing_else(path)
                # Outside ``staging``, which is emptied whatever happens.
                _swap(path, new, Path(f"{staging}.old"), staging / "old")
            else:
                os.rename(new, path)


def write_text(path: Path, text: str) -> None:
    """Write a file in one step: what is there stays until the new one is complete."""
    with replacing_file(path) as new:
        new.write_text(text, "utf-8")


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep other processes that call this from swapping assets in ``folder`` meanwhile."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _swap(path: Path, new: Path, aside: Path, discarded: Path) -> None:
    """Move ``new`` to ``path``; what is there, if anything, to ``aside`` and then ``discarded``.

    A folder cannot be renamed over another.
    """

    def settle() -> None:
        if os.path.lexists(aside):
            os.rename(aside, discarded if os.path.lexists(path) else path)

    try:
        if os.path.lexists(path):
            os.rename(path, aside)
        os.rename(new, path)
    finally:
        try:
            settle()
        except KeyboardInterrupt:  # it may have come before the rename
            settle()
            raise


_ANEW = "copy it, or convert the model, once more"


def _check_is_utf8(path: Path) -> None:
    """Raise InputError for a path on which Core AI 1.0.0b3 ends the process."""
    try:
        str(path.absolute()).encode()
    except UnicodeEncodeError:
        raise InputError(
            f"Core AI cannot use the path {path.absolute()}, which is not UTF-8: rename what it "
            "goes through"
        ) from None


def _check_holds_nothing_else(path: Path) -> None:
    """Raise InputError where replacing an asset would remove files that are not part of it.

    Of a symbolic link only the link is replaced.
    """
    if path.is_symlink() or not path.is_dir():
        return
    others = sorted(
        entry.name
        for entry in path.iterdir()
        if entry.name not in _OWN_FILES and entry.suffix not in _DERIVED
    )
    if others:
        more = f" and {len(others) - 3:,} more" if len(others) > 3 else ""
        raise InputError(
            f"{path} holds {', '.join(others[:3])}{more}, which is no part of a model asset and "
            "would be lost if it were replaced: move that elsewhere, or write to another path"
        )


def _what_is_there(path: Path) -> str:
    """Say what is at a path where a folder should be."""
    if path.exists():
        return f"is no folder, as a model asset is: {_PROGRAM} and more files"
    assets = [asset.name for asset in path.parent.glob(f"*{SUFFIX}")]
    near = difflib.get_close_matches(path.name, assets)
    return f"does not exist, did you mean {' or '.join(near)}?" if near else "does not exist"


def _check_program(path: Path) -> bool:
    """Check the program against its digest, and return whether there is one."""
    program = path / _PROGRAM
    if not program.is_file():
        raise InputError(f"{path} is not a model asset: it holds no {_PROGRAM}")
    digest = path / _DIGEST
    with program.open("rb") as file:
        if file.read(len(_BYTECODE_MAGIC)) != _BYTECODE_MAGIC:
            raise InputError(f"{path} is damaged: {_PROGRAM} is not a Core AI program; {_ANEW}")
    if not digest.is_file():
        return False
    if digest_of(program) != digest.read_bytes():
        raise InputError(f"{path} is damaged: {_PROGRAM} does not match {_DIGEST}; {_ANEW}")
    return True


def _has_producer(path: Path) -> bool:
    """Return whether the metadata say who made the asset; coreai-core 1.0.0b1 left that out."""
    return bool(read_metadata(path).get("producer"))


_OPEN = (
    "import sys; from coreai.authoring import AIModelAsset; AIModelAsset.load(sys.argv[1]).program"
)


def _check_opens(path: Path) -> None:
    """Open the program in another process; raise InputError where Core AI ends that process."""
    command = [sys.executable, "-P", "-c", _OPEN, str(path)]
    opened = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # this Python
    if opened.returncode < 0:
        raise InputError(
            f"Core AI cannot open {path}, which is damaged or was written by coreai-core 1.0.0b1: "
            f"{_ANEW}"
        )
