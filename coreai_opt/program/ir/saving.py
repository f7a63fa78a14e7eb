"""Programs on disk."""

import time
from pathlib import Path
from typing import Any

from coreai_opt.program.digest import digest_of
from coreai_opt.program.ir.core_ai import PRODUCER, AIModelAsset, AIProgram, asset_on_disk


def save(program: AIProgram, path: Path, metadata: Any = None) -> AIModelAsset:
    """Save a program as a new asset, as ``program.save_asset`` does, in less memory.

    Core AI 1.0.0b3 reads the whole program back to hash it: as many bytes of memory as the file
    has. Here it is hashed piece by piece. The metadata are written first: Core AI has them brought
    to the disk at once, and many file systems take along all that was written before.

    Args:
        program: the program.
        path: a folder that is not there yet; its name ends in ``.aimodel``.
        metadata: those of the asset it comes from, of which all but date and producer stay.

    Raises:
        OSError, RuntimeError: it cannot be written; what is there is not whole.
    """
    path.mkdir()
    asset = asset_on_disk._create(path=str(path), metadata=metadata)

    def stamp(stamped: Any) -> None:
        stamped.creation_date = time.time()
        stamped._producer = PRODUCER

    asset.update_metadata(updates=stamp)
    program._save_bytecode(asset._program_bytecode_path)
    digest = digest_of(Path(asset._program_bytecode_path))
    Path(asset._program_hash_path).write_bytes(digest)
    return AIModelAsset._wrap(asset)
