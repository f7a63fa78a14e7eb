"""``coreai-opt presets``: settings that go by a name, and what is reported of targets."""

import argparse

from coreai_opt.cli.console import print_table, stdout
from coreai_opt.cli.parser import Subcommands, option_of
from coreai_opt.settings.presets import PRESETS
from coreai_opt.settings.settings import Settings
from coreai_opt.settings.targets import REPORTS, in_words

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
    print_table(
        console,
        f"{len(PRESETS)} presets",
        ("preset", "of", ">bits per weight", "options", "what it is"),
        (
            (
                preset.name,
                "palettize" if preset.of_tables else "quantize",
                preset.bits,
                _options(preset.settings),
                preset.what,
            )
            for preset in PRESETS
        ),
    )
    console.print()
    print_table(
        console,
        "Reported not to work",
        ("target", "what", "what happens", "instead", "source", "date"),
        ((r.target, r.what, r.happens, in_words(r.instead), r.source, r.date) for r in REPORTS),
    )


def _options(settings: Settings) -> str:
    return " ".join(f"{option_of(name)} {value}" for name, value in settings.said().items())
