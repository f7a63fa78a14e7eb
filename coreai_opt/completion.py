"""``coreai-opt completion``: scripts with which shells complete the command, made by shtab."""

import argparse
from typing import Any

import shtab

from coreai_opt.options import make_parser

__all__ = ["completion"]


def _files(pattern: str) -> dict[str, Any]:
    # shtab 1.13 has '(*.npz)' for zsh, which takes that for a qualifier and finds nothing.
    return {**shtab.glob(pattern), "zsh": f"_files -g '{pattern}'"}


_PATHS = {".aimodel": shtab.DIRECTORY, ".npz": _files("*.npz"), ".toml": _files("*.toml")}
"""What a shell offers for an argument, by how its metavar ends; an asset is a folder."""


def completion(shell: str) -> None:
    """Print the script for a shell: bash, zsh or fish."""
    parser = make_parser()
    for action in _actions(parser):
        if action.metavar == "FILE":
            _offer(action, shtab.FILE)
        for suffix, paths in _PATHS.items():
            if str(action.metavar).endswith(suffix):
                _offer(action, paths)
    print(shtab.complete(parser, shell))


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    """Return the arguments of a parser and of those of its subcommands."""
    found = []
    for action in parser._actions:  # shtab reads them as well
        found.append(action)
        if isinstance(action, argparse._SubParsersAction):
            for choice in action._choices_actions:
                subparser = action.choices[choice.dest]
                subparser.description = choice.help  # shells have a line for it
                found += _actions(subparser)
    return found


def _offer(action: argparse.Action, paths: Any) -> None:
    action.complete = paths  # type: ignore[attr-defined]  # where shtab looks
