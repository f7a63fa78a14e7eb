"""``coreai-opt completion``: scripts with which shells complete the command, made by shtab."""

import argparse
from functools import partial
from typing import Any

from coreai_opt.cli.console import print_text
from coreai_opt.cli.parser import Parser, Subcommands

SHELLS = ("bash", "zsh", "fish")


_COMPLETION_EXAMPLES = """\
examples, each for all shells that are started from then on:
  bash, with the package bash-completion:
    mkdir -p ~/.local/share/bash-completion/completions
    coreai-opt completion bash \\
        > ~/.local/share/bash-completion/completions/coreai-opt

  zsh, with fpath=(~/.zfunc $fpath) before compinit in ~/.zshrc:
    mkdir -p ~/.zfunc
    coreai-opt completion zsh > ~/.zfunc/_coreai-opt

  fish:
    mkdir -p ~/.config/fish/completions
    coreai-opt completion fish > ~/.config/fish/completions/coreai-opt.fish"""


def add_parser(commands: Subcommands, command: Parser) -> None:
    """Add the subcommand to the command line.

    Args:
        commands: where to.
        command: the whole command line, which is what shells complete.
    """
    parser = commands.add_parser(
        "completion",
        help="print a script that completes this command in a shell",
        description="Print a script with which a shell completes commands, options, their values "
        "and files. It is all that the shell reads: pressing Tab does not start this program. "
        "Print it again after an update.",
        epilog=_COMPLETION_EXAMPLES,
    )
    parser.set_defaults(run=partial(_run, command))
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="%(choices)s")


def _run(command: Parser, options: argparse.Namespace) -> None:
    print_completion(command, options.shell)


def print_completion(parser: Parser, shell: str) -> None:
    """Print the script with which a shell (bash, zsh or fish) completes what a parser reads."""
    import shtab  # noqa: PLC0415  # no other subcommand needs it

    def files(pattern: str) -> dict[str, Any]:
        # shtab 1.13 has '(*.npz)' for zsh, which takes that for a qualifier and finds nothing.
        return {**shtab.glob(pattern), "zsh": f"_files -g '{pattern}'"}

    # By how a metavar ends; an asset is a folder.
    offers = {
        "FILE": shtab.FILE,
        "FOLDER": shtab.DIRECTORY,
        ".aimodel": shtab.DIRECTORY,
        ".npz": files("*.npz"),
        ".toml": files("*.toml"),
    }
    for action in _actions(parser):
        for end, offer in offers.items():
            if str(action.metavar).endswith(end):
                action.complete = offer  # type: ignore[attr-defined]  # where shtab looks
    print_text(shtab.complete(parser, shell))


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
