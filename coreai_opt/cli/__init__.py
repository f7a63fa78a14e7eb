"""The command ``coreai-opt``: one module for each subcommand, and what they share."""

from coreai_opt.cli.command import main

__all__ = ["main"]
