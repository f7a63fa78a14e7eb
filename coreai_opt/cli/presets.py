"""``coreai-opt presets``: settings that go by a name, and what is reported of targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from coreai_opt.cli.console import print_fact, stdout
from coreai_opt.cli.parser import Subcommands, option_of
from coreai_opt.settings.presets import PRESETS
from coreai_opt.settings.targets import REPORTS, Target, in_words

if TYPE_CHECKING:
    import argparse

    from rich.console import Console

    from coreai_opt.settings.settings import Settings

_EXAMPLES = """\
examples:
  what there is, and one of it with a setting of its own:
    coreai-opt presets
    coreai-opt quantize model.aimodel int4.aimodel --preset macos-4bit \\
        --block-size 16

  an error if its format were reported not to work where the model will run:
    coreai-opt quantize model.aimodel int8.aimodel --preset int8 \\
        --target neural-engine"""


def add_parser(commands: Subcommands) -> None:
    """Add the subcommand to the command line."""
    parser = commands.add_parser(
        "presets",
        help="list what --preset and --target know",
        description="List the presets of quantize and palettize, with the options that each stands "
        "for, and what is reported not to work on the targets of --target.",
        epilog=_EXAMPLES,
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> None:
    del options
    console = stdout()
    console.print(f"{len(PRESETS)} presets", style="bold")
    for preset in PRESETS:
        command = "palettize" if preset.of_tables else "quantize"
        _print_entry(
            console,
            f"{preset.name}",
            f"of {command}, {preset.bits} bits per weight: {preset.what}",
            _options(preset.settings),
        )
    console.print()
    console.print("Reported not to work", style="bold")
    for report in REPORTS:
        _print_entry(
            console,
            f"{report.target}",
            f"{report.what}: {report.happens} ({report.source}, {report.date})",
            f"instead: {in_words(report.instead)}",
        )


def _print_entry(console: Console, head: str, *texts: str) -> None:
    """Print what is said of a preset or a target, each text on lines of its own."""
    for before, text in zip([head, *[""] * len(texts)], texts, strict=False):
        print_fact(console, f" {before}", text, indent=_INDENT)


_INDENT = 3 + max(len(name) for name in (*(preset.name for preset in PRESETS), *Target))


def _options(settings: Settings) -> str:
    return " ".join(f"{option_of(name)} {value}" for name, value in settings.said().items())
