"""Renew what the pages quote from the package: ``make pages``.

So that they can be read where they lie, without a build, the pages hold the command's help and a
line for each name of the Python API. Both stand between two comments::

    <!-- from: coreai-opt quantize --help -->
    <!-- from: names of coreai_opt.coreai_utils -->
    …
    <!-- end -->

``tests/project/test_docs.py`` fails where what stands there is not what the package says.
"""

import importlib
import inspect
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

DOCS = Path(__file__).parent
QUOTE = re.compile(r"<!-- from: (?P<source>.+?) -->\n.*?<!-- end -->", re.S)
COLUMNS = "100"


def renewed(page: str) -> str:
    """Return a page with what it quotes as it is now."""
    return QUOTE.sub(_quote, page)


def _quote(found: re.Match[str]) -> str:
    source = found["source"]
    program, _, rest = source.partition(" ")
    text = _names(rest.removeprefix("of ")) if program == "names" else _help(source)
    return f"<!-- from: {source} -->\n{text}\n<!-- end -->"


def _help(command: str) -> str:
    program, *arguments = shlex.split(command)
    done = subprocess.run(  # noqa: S603  # what a page of ours quotes
        [Path(sys.executable).with_name(program), *arguments],
        env={**os.environ, "COLUMNS": COLUMNS},
        capture_output=True,
        text=True,
        check=True,
    )
    return f"```text\n{done.stdout.rstrip()}\n```"


def _names(module: str) -> str:
    """Return a table of a module's public names, each with the first line of its docstring."""
    there = importlib.import_module(module)
    documented = {name: inspect.getdoc(getattr(there, name)) for name in there.__all__}
    rows = [
        f"| `{name}` | {_as_markdown(text.splitlines()[0])} |"
        for name, text in documented.items()
        if text is not None and not name.startswith("__")
    ]
    return "\n".join(["| name | what it is |", "|---|---|", *rows])


def _as_markdown(line: str) -> str:
    """Return a line of reStructuredText as Markdown shows it in a table."""
    without_roles = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", line)
    return without_roles.replace("``", "`").replace("|", r"\|")


if __name__ == "__main__":
    for path in sorted(DOCS.glob("*.md")):
        page = path.read_text(encoding="utf-8")
        if (now := renewed(page)) != page:
            path.write_text(now, encoding="utf-8")
            print(f"renewed {path.name}")
