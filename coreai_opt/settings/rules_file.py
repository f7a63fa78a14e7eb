"""Rules in files: TOML, one ``[[rule]]`` table after the other."""

import tomllib
from collections.abc import Iterable
from pathlib import Path

import tomli_w

from coreai_opt.exceptions import ArgumentError, ArgumentTypeError, InputError
from coreai_opt.settings.rules import KEYS, Rule, make_rule

__all__ = ["Rule", "dump_rules", "load_rules"]


def load_rules(path: Path) -> list[Rule]:
    """Return the rules of a TOML file, in their order.

    Raises:
        InputError, ArgumentTypeError: it holds something else; the message names the file.
        OSError: it cannot be read.
    """
    try:
        # Editors on Windows put a byte order mark in front, which TOML does not have.
        content = tomllib.loads(path.read_text("utf-8-sig"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no TOML file: {error}") from None
    tables = content.pop("rule", [])
    if content or not isinstance(tables, list):
        unknown = ", ".join(content) or "rule"
        raise InputError(f"{path} must hold [[rule]] tables only; got {unknown}")
    rules = []
    for number, table in enumerate(tables, 1):
        try:
            rules.append(make_rule(table))
        except (ArgumentError, ArgumentTypeError) as error:
            raise error.within(f"{path}: rule {number}") from None
    return rules


def dump_rules(rules: Iterable[Rule]) -> str:
    """Return rules as TOML, which :func:`load_rules` reads."""
    return "\n".join(f"[[rule]]\n{tomli_w.dumps(_said(rule))}" for rule in rules)


def _said(rule: Rule) -> dict[str, object]:
    """Return what a rule says, by key: all that its defaults do not say."""
    default = Rule()
    return {key: value for key in KEYS if (value := getattr(rule, key)) != getattr(default, key)}
