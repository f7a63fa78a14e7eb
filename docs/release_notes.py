"""Print what the changelog says of one version: ``make release-notes VERSION=0.1.0``."""

import re
import sys
from pathlib import Path

CHANGELOG = Path(__file__).parents[1] / "CHANGELOG.md"


def release_notes(version: str, changelog: str) -> str:
    """Return the section of ``version`` without its heading, with lines that wrap made whole.

    Pages that show release notes keep line ends, which files that are read as text do not mean.
    """
    heading, end = rf"^## \[{re.escape(version)}\][^\n]*\n", r"(?=^## |\Z)"
    found = re.search(rf"{heading}(.*?){end}", changelog, re.DOTALL | re.MULTILINE)
    if found is None or not found[1].strip():
        raise SystemExit(f"CHANGELOG.md says nothing of version {version}")
    return re.sub(r"(?<=\S)\n +(?=\S)", " ", found[1].strip()) + "\n"


if __name__ == "__main__":
    sys.stdout.write(release_notes(sys.argv[1], CHANGELOG.read_text("utf-8")))
