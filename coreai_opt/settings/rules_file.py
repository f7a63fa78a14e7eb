"""Rules in files: TOML, one ``[[rule]]`` table after the other."""

import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import tomli_w

from coreai_opt.settings.rules import Rule, make_rule

__all__ = ["Rule", "dump_rules", "load_rules"]


def load_rules(path: Path) -> list[Rule]:
    """Return the rules of a TOML file, in their order.

    Raises:
        ValueError, TypeError: it holds something else; the message names the file.
        OSError: it cannot be read.
    """
    try:
        # Editors on Windows put a byte order mark in front, which TOML does not have.
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is no TOML file: {error}") from None
    tables = content.pop("rule", [])
    if content or not isinstance(tables, list):
        unknown = ", ".join(content) or "rule"
        raise ValueError(f"{path} must hold [[rule]] tables only; got {unknown}")
    rules = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(make_rule(table))
        except (TypeError, ValueError) as error:
            raise type(error)(f"{path}: rule {number}: {error}") from None
    return rules


def dump_rules(rules: Iterable[Rule]) -> str:
    """Return rules as TOML, which :func:`load_rules` reads."""
    tables = [
        {
            key: value
            for key, value in asdict(rule).items()
            if value is not None and value is not False
        }
        for rule in rules
    ]
    return "\n".join(f"[[rule]]\n{tomli_w.dumps(table)}" for table in tables)
