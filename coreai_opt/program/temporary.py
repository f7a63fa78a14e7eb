"""Folders and files that are made beside where they belong, and gone when work ends early."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def temporary_folder(parent: Path, prefix: str) -> Iterator[Path]:
    """Make a folder in ``parent``, and remove it with all that is in it when the block ends.

    It is removed whenever Ctrl-C comes. ``tempfile.TemporaryDirectory`` leaves it where that is
    while it is made or removed.

    Args:
        parent: a folder.
        prefix: how the name begins; random letters follow.

    Yields:
        the folder, which only this user may open.

    Raises:
        OSError: it cannot be made.
    """
    folder = parent / f"{prefix}{secrets.token_hex(8)}"
    try:
        folder.mkdir(0o700)
        yield folder
    finally:
        # Nothing is called between these two lines, and Python only notices Ctrl-C at calls.
        try:
            shutil.rmtree(folder, ignore_errors=True)
        except (KeyboardInterrupt, OSError) as error:
            # An OSError is what rmtree may make of Ctrl-C; those of the system are ignored.
            shutil.rmtree(folder, ignore_errors=True)
            raise KeyboardInterrupt from error


@contextmanager
def replacing_file(path: Path) -> Iterator[Path]:
    """Write a file in one step: what is at ``path`` stays until the new one is complete.

    Yields:
        a path to write the file to. It is moved to ``path`` when the block ends, and removed when
        the block raises.

    Raises:
        OSError: it cannot be moved there.
    """
    with temporary_folder(path.parent, f".{path.stem}-") as folder:
        new = folder / path.name
        yield new
        os.replace(new, path)
