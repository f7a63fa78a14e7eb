"""Write the library as two files, coreai_quant.h and coreai_quant.c: `amalgamate.py FOLDER`.

The portable kernels only, which is what microcontrollers run. Headers are put in once, templates as
often as they are included.
"""

import re
import sys
from pathlib import Path

CSRC = Path(__file__).resolve().parents[1]
PUBLIC = CSRC / "coreai_quant.h"
INCLUDE = re.compile(r'#include "(.+)"\n')


def expand(path: Path, seen: set[Path]) -> str:
    """Return a file's text with our own headers in place of their include lines."""
    if path in seen:
        return ""
    text = path.read_text()
    if path.parent.name != "templates":
        seen.add(path)
    parts = INCLUDE.split(text)  # text and names in turn
    for i, name in enumerate(parts[1::2]):
        parts[2 * i + 1] = expand((path.parent / name).resolve(), seen)
    return f"/* ---- {path.relative_to(CSRC)} ---- */\n" + "".join(parts)


def main() -> None:
    """Write both files into the folder that the command line names."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    seen = {PUBLIC}
    # The portable kernels come first: they say how some compilers shall treat what they include.
    first = CSRC / "kernels" / "portable.c"
    vectors = {CSRC / "kernels" / f"{level}.c" for level in ("neon", "avx2", "avx512")}
    sources = [first, *sorted({*CSRC.glob("*.c"), *CSRC.glob("*/*.c")} - {first} - vectors)]
    bodies = [expand(source, seen) for source in sources]
    head = '#define CAQ_PORTABLE_ONLY 1\n#include "coreai_quant.h"\n'
    (folder / "coreai_quant.c").write_text("\n".join([head, *bodies]))
    (folder / "coreai_quant.h").write_text(PUBLIC.read_text())


if __name__ == "__main__":
    main()
