"""Rules: settings of their own for some of a program's weights.

A rule says which weights it is for, and either what to turn them into or that they are kept. Of the
rules that match a weight the last one counts, alone.

In a file they are TOML, one ``[[rule]]`` after the other, with the attributes of :class:`Rule`::

    [[rule]]
    consumer = "gather_nd"
    keep = true

    [[rule]]
    name = "main/Encoder.1/*"
    shape = ["*", ">=1024"]
    dtype = "int4"
    granularity = "per_block"
    block_size = 32
"""

import fnmatch
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

from coreai_opt.exceptions import Argument, ArgumentError, ArgumentTypeError
from coreai_opt.settings.arguments import did_you_mean, plain_int
from coreai_opt.settings.checked import AnySettings, check_any, check_kind
from coreai_opt.settings.enums import CompressionGranularity
from coreai_opt.settings.settings import (
    DEFAULTS,
    SETTINGS,
    TABLE_DEFAULTS,
    Settings,
)

__all__ = ["KEYS", "ParsedRule", "Rule", "make_rule", "parse_rules", "rule_for"]


@dataclass(frozen=True)
class Rule(Settings):
    """A rule for some of a program's weights.

    It matches a weight that fits every pattern it gives: ``name``, ``consumer``, ``shape``. With
    ``dtype`` its weights get codes and scales, with ``n_bits`` look-up tables. Settings that it
    does not give are those of the call, if the call asks for codes as well, or for tables as well.
    A rule with a ``dtype`` has the symmetric scheme and scales in the weight's dtype unless it says
    otherwise; MXFP4 brings its blocks of 32.

    Attributes:
        name: a glob that the weight's whole name matches, as ``coreai-opt inspect`` shows it, or
            ``re:`` and a regular expression. A name matches itself and no other.
        consumer: a glob, or ``re:`` and a regular expression, for the ops that use the weight,
            transposes left out, with or without their dialect: ``"conv2d"``,
            ``"coreai.decomposable.*"``. One of them has to match.
        shape: for each axis of the weight its length, or ``"*"``, or a comparison such as
            ``">=1024"``; operators are ``< <= > >=``.
        keep: leave the weight as it is. A rule with ``keep`` gives no setting; any other rule gives
            at least one.
        dtype, qscheme, granularity, block_size, scale_dtype, observer, rounding, indivisible:
            settings, as for ``quantize_weights``. A block size needs blocks: PER_BLOCK, of the rule
            or the call.
        n_bits, lut_dtype, group_size, cluster_dim, enable_per_channel_scale, scale_block_size:
            settings, as for ``palettize_weights``; ``granularity`` and ``observer`` are two of
            these, too.
    """

    name: str | None = None
    consumer: str | None = None
    shape: tuple[int | str, ...] | None = None
    keep: bool = False

    def __post_init__(self) -> None:
        """Turn whole numbers of numpy into those of Python, those of the shape as well."""
        super().__post_init__()
        if isinstance(self.shape, tuple):
            object.__setattr__(self, "shape", tuple(map(plain_int, self.shape)))


KEYS = (*(field.name for field in fields(Rule) if field.name not in SETTINGS), *SETTINGS)
"""The keys of a rule in a file, in their order."""


def rule_for(name: str, settings: Settings | None) -> Rule:
    """Return the rule that gives the weight of this name these settings, or with None keeps it."""
    if settings is None:
        return Rule(name=name, keep=True)
    return Rule(name=name, **settings.said())


class ParsedRule(NamedTuple):
    """A rule that was checked.

    Attributes:
        rule: the rule.
        settings: what to turn its weights into; None keeps them.
    """

    rule: Rule
    settings: AnySettings | None

    def matches(self, name: str, consumers: Iterable[str], shape: tuple[int, ...]) -> bool:
        """Return whether the rule is for the weight with this name, these consumers and shape."""
        rule = self.rule
        return (
            (rule.name is None or matches(rule.name, name))
            and (rule.consumer is None or any(_matches_op(rule.consumer, op) for op in consumers))
            and (rule.shape is None or _matches_shape(rule.shape, shape))
        )


def parse_rules(overrides: object, call: Settings) -> list[ParsedRule]:
    """Check the argument ``overrides`` of ``quantize_weights``.

    Args:
        overrides: a sequence of :class:`Rule` or of mappings with its attributes.
        call: the settings of the call.

    Raises:
        ArgumentError, ArgumentTypeError: no such sequence; or what is wrong with a rule, which is
            named by its number, the first being 1.
    """
    if isinstance(overrides, (str, bytes)) or not isinstance(overrides, Sequence):
        raise ArgumentTypeError(
            "overrides",
            Argument("overrides"),
            f" must be a sequence of rules; got {type(overrides).__name__}",
        )
    parsed = []
    for number, rule in enumerate(overrides, 1):
        try:
            parsed.append(_parse_rule(rule, call))
        except (ArgumentError, ArgumentTypeError) as error:
            raise error.within(f"rule {number}") from None
    return parsed


def make_rule(table: object) -> Rule:
    """Return the rule that a mapping with its attributes is, not checked yet.

    Raises:
        ArgumentError, ArgumentTypeError: it is no mapping, or one with other keys.
    """
    if not isinstance(table, Mapping):
        raise ArgumentTypeError("rule", f"must be a table of keys and values; got {table!r}")
    unknown = [key for key in table if key not in KEYS]
    if unknown:
        raise ArgumentError(
            "rule",
            f"has the unknown key {unknown[0]!r}; keys are {', '.join(KEYS)}"
            f"{did_you_mean(unknown[0], KEYS)}",
        )
    rule = Rule(**table)
    return replace(rule, shape=tuple(rule.shape)) if isinstance(rule.shape, list) else rule


def _parse_rule(given: object, call: Settings) -> ParsedRule:
    rule = given if isinstance(given, Rule) else make_rule(given)
    if rule.name is None and rule.consumer is None and rule.shape is None:
        raise ArgumentError("name", "must have a name, a consumer or a shape to match")
    _check_pattern("name", rule.name)
    _check_pattern("consumer", rule.consumer)
    _check_shape(rule.shape)
    if not isinstance(rule.keep, bool):
        raise ArgumentTypeError("keep", f"keep must be true or false; got {rule.keep!r}")
    if rule.keep == bool(rule.said()):
        raise ArgumentError(
            "keep", f"must have keep = true or settings ({', '.join(SETTINGS)}), not both"
        )
    return ParsedRule(rule, None if rule.keep else _settings(rule, call))


def _settings(rule: Rule, call: Settings) -> AnySettings:
    of_tables = rule.n_bits is not None or (rule.dtype is None and call.n_bits is not None)
    check_kind(rule, of_tables=of_tables)
    if of_tables != (call.n_bits is not None):
        call = TABLE_DEFAULTS if of_tables else DEFAULTS
    elif rule.dtype is not None:
        call = replace(call, qscheme=DEFAULTS.qscheme, scale_dtype=DEFAULTS.scale_dtype)
    merged = Settings.among(call.merge(rule.with_implied()))
    settings = check_any(merged)
    per_block = CompressionGranularity.PER_BLOCK
    if rule.block_size is not None and settings.granularity is not per_block:
        raise ArgumentError(
            "block_size", f"block_size needs granularity 'per_block'; it is {settings.granularity}"
        )
    return settings


def _check_pattern(key: str, pattern: object) -> None:
    if pattern is None:
        return
    if not isinstance(pattern, str):
        raise ArgumentTypeError(key, f"{key} must be a string; got {pattern!r}")
    if pattern.startswith(_REGEX):
        try:
            re.compile(pattern.removeprefix(_REGEX))
        except re.error as error:
            raise ArgumentError(
                key, f"{key} {pattern!r} is no regular expression: {error}"
            ) from None


def _check_shape(shape: object) -> None:
    if shape is None:
        return
    if not isinstance(shape, tuple):
        raise ArgumentTypeError("shape", f"shape must be a tuple, or a list in TOML; got {shape!r}")
    for length in shape:
        is_number = isinstance(length, int) and not isinstance(length, bool)
        if not is_number and not (isinstance(length, str) and _LENGTHS.fullmatch(length)):
            raise ArgumentError(
                "shape", f'shape has {length!r}; lengths are 64, "*", ">=64", ">64" and so on'
            )


_REGEX = "re:"
_FLAGS = re.compile(r"(\(\?[aiLmsux]+\))*")
_LENGTHS = re.compile(r"\*|(<=|>=|<|>)(\d+)")
_COMPARISONS = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def matches(pattern: str, text: str) -> bool:
    """Return whether a glob, or ``re:`` and a regular expression, matches a whole text."""
    if pattern.startswith(_REGEX):
        return re.fullmatch(pattern.removeprefix(_REGEX), text) is not None
    return fnmatch.fnmatchcase(text, pattern)


def around(pattern: str) -> str | None:
    """Return a pattern that matches whatever contains something that ``pattern`` matches.

    None where that is not easily said: a regular expression may end in a comment, or have flags
    behind white space, and those must come first.
    """
    if not pattern.startswith(_REGEX):
        return f"*{pattern}*"
    expression = pattern.removeprefix(_REGEX)
    flags = _FLAGS.match(expression)
    assert flags is not None  # it matches nothing as well
    wider = f"{flags[0]}.*(?:{expression[flags.end() :]}).*"
    try:
        re.compile(wider)
    except re.error:
        return None
    return _REGEX + wider


def _matches_op(pattern: str, op: str) -> bool:
    return matches(pattern, op) or matches(pattern, op.rsplit(".", 1)[-1])


def _matches_shape(pattern: tuple[int | str, ...], shape: tuple[int, ...]) -> bool:
    return len(pattern) == len(shape) and all(map(_matches_length, pattern, shape))


def _matches_length(pattern: int | str, length: int) -> bool:
    if isinstance(pattern, int):
        return length == pattern
    comparison = _LENGTHS.fullmatch(pattern)
    assert comparison is not None  # it was checked
    if comparison[1] is None:
        return True
    return bool(_COMPARISONS[comparison[1]](length, int(comparison[2])))
