"""``Settings``: how a weight is compressed. The one list of what can be said about that.

Arguments, rules, plans and the options of the command are made of its fields. A new setting is a
new field here, an argument of ``quantize_weights`` or ``palettize_weights``, and the code that does
what it says.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, Self

from coreai_opt.reference.formats import FORMATS
from coreai_opt.settings.arguments import plain_int
from coreai_opt.settings.enums import (
    EIGHT_BIT_DTYPES,
    CompressionGranularity,
    DType,
    DTypeName,
    GranularityName,
    Indivisible,
    IndivisibleName,
    Observer,
    ObserverName,
    QScheme,
    QSchemeName,
    Rounding,
    RoundingName,
)

__all__ = [
    "DEFAULTS",
    "MXFP4_BLOCK_SIZE",
    "OF_CODES",
    "OF_TABLES",
    "SETTINGS",
    "TABLE_DEFAULTS",
    "Description",
    "Settings",
    "describe",
]


MXFP4_BLOCK_SIZE = 32
"""OCP MX v1.0 §5.2: elements that share a scale."""


@dataclass(frozen=True)
class Description:
    """A setting in words, for the command.

    Attributes:
        default: its value where none is given.
        choices: what may be typed; empty for a whole number >= 1.
        metavar: what stands for it in a usage line.
        help: what it does; ``{default}`` stands for the default, ``%(choices)s`` for the choices.
    """

    default: object
    choices: tuple[str, ...]
    metavar: str
    help: str


def _description(
    default: object, choices: tuple[str, ...], metavar: str, help: str
) -> dict[str, Description]:
    description = Description(default, choices, metavar, help.replace("{default}", str(default)))
    return {_DESCRIPTION: description}


def _values(*members: StrEnum) -> tuple[str, ...]:
    return tuple(member.value for member in members)


def _is_member(value: object, member: DType) -> bool:
    if not isinstance(value, str):
        return False
    try:
        return isinstance(value, str) and DType(value) is member
    except ValueError:
        return False


_DESCRIPTION = "description"
_GRANULARITIES = [g for g in CompressionGranularity if g is not g.PER_GROUPED_CHANNEL]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a weight. A field that is None is left open: a default or a rule may fill it in.

    With ``n_bits`` a weight becomes look-up tables, with ``dtype`` codes and scales. The fields are
    the arguments of ``palettize_weights`` and ``quantize_weights``, and are checked when they are
    used.
    """

    dtype: DType | DTypeName | None = field(
        default=None,
        metadata=_description(
            None,
            tuple(FORMATS),
            "FORMAT",
            "%(choices)s; with --rules it may be left out: weights that no rule matches are kept",
        ),
    )
    qscheme: QScheme | QSchemeName | None = field(
        default=None,
        metadata=_description(
            QScheme.SYMMETRIC,
            _values(*QScheme),
            "SCHEME",
            "%(choices)s (default: {default}); floating-point formats are symmetric",
        ),
    )
    granularity: CompressionGranularity | GranularityName | None = field(
        default=None,
        metadata=_description(
            CompressionGranularity.PER_CHANNEL,
            _values(*_GRANULARITIES),
            "WHICH",
            "which elements of a weight share a scale: %(choices)s (default: {default})",
        ),
    )
    block_size: int | None = field(
        default=None,
        metadata=_description(
            32, (), "N", "input channels that share a scale with per_block (default: {default})"
        ),
    )
    scale_dtype: DType | DTypeName | None = field(
        default=None,
        metadata=_description(
            None,
            _values(DType.FP8_E8M0FNU),
            "FORMAT",
            "%(choices)s: scales of FP8 are powers of two (default: the weight's dtype)",
        ),
    )
    observer: Observer | ObserverName | None = field(
        default=None,
        metadata=_description(
            None,
            _values(*Observer),
            "HOW",
            "how scales are found: minmax takes them from the largest weight, mse searches for "
            "those with the least squared error, which is slower (default: minmax, or mse with a "
            "calibration)",
        ),
    )
    rounding: Rounding | RoundingName | None = field(
        default=None,
        metadata=_description(
            None,
            _values(*Rounding),
            "HOW",
            "how codes are chosen: nearest takes the one nearest to the weight, gptq lets input "
            "channels make up for each other's errors (default: gptq for weights that a "
            "calibration has seen, else nearest)",
        ),
    )
    indivisible: Indivisible | IndivisibleName | None = field(
        default=None,
        metadata=_description(
            Indivisible.SKIP,
            _values(*Indivisible),
            "WHAT",
            "weights whose input channels the block size does not divide: skip leaves them as they "
            "are, fit takes the largest block size below that does (default: {default})",
        ),
    )
    n_bits: int | None = field(
        default=None,
        metadata=_description(
            None, (), "N", "bits of an index into a look-up table: 1, 2, 3, 4, 6 or 8"
        ),
    )
    lut_dtype: DType | DTypeName | None = field(
        default=None,
        metadata=_description(
            None,
            _values(*EIGHT_BIT_DTYPES),
            "FORMAT",
            "%(choices)s: what entries of a look-up table are (default: the weight's dtype)",
        ),
    )
    group_size: int | None = field(
        default=None,
        metadata=_description(
            32,
            (),
            "N",
            "output channels that share a look-up table with per_grouped_channel "
            "(default: {default})",
        ),
    )
    cluster_dim: int | None = field(
        default=None,
        metadata=_description(
            1,
            (),
            "N",
            "neighbours along the output channels that share an index, whose entry is a vector of "
            "N numbers (default: {default})",
        ),
    )
    enable_per_channel_scale: bool | None = field(
        default=None,
        metadata=_description(
            False, (), "", "divide each output channel by its largest magnitude, its scale"
        ),
    )
    scale_block_size: int | None = field(
        default=None,
        metadata=_description(
            None,
            (),
            "N",
            "divide so many input channels of an output channel by their largest magnitude, their "
            "scale (default: there is none)",
        ),
    )

    def __post_init__(self) -> None:
        """Turn whole numbers of numpy into those of Python, which can be written to files."""
        for name, value in vars(self).items():
            object.__setattr__(self, name, plain_int(value))

    @classmethod
    def among(cls, attributes: object) -> "Settings":
        """Return the settings that an object has as attributes; all others are None."""
        return Settings(**{name: getattr(attributes, name, None) for name in SETTINGS})

    def with_implied(self) -> Self:
        """Return the settings with those that their ``dtype`` leaves no choice about.

        MXFP4 has blocks of 32 and no others (OCP MX v1.0 §5.2).
        """
        if self.granularity is None and _is_member(self.dtype, DType.FP4_E2M1FN):
            size = MXFP4_BLOCK_SIZE if self.block_size is None else self.block_size
            return replace(self, granularity=CompressionGranularity.PER_BLOCK, block_size=size)
        return self

    def arguments(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the settings of these names, as keyword arguments of a function."""
        return {name: getattr(self, name) for name in names}

    def said(self) -> dict[str, Any]:
        """Return the settings that are given, by name."""
        every = self.arguments(SETTINGS)
        return {name: value for name, value in every.items() if value is not None}

    def merge(self, over: "Settings") -> Self:
        """Return these settings, with those that ``over`` gives in their place."""
        return replace(self, **over.said())


SETTINGS = tuple(field.name for field in fields(Settings))
"""The names of all settings."""

OF_TABLES = (
    "n_bits",
    "lut_dtype",
    "granularity",
    "group_size",
    "cluster_dim",
    "enable_per_channel_scale",
    "scale_block_size",
    "observer",
)
"""The names of settings that look-up tables have."""

OF_CODES = tuple(
    name for name in SETTINGS if name not in OF_TABLES or name in {"granularity", "observer"}
)
"""The names of settings that codes and scales have."""


def describe(names: Iterable[str] = SETTINGS) -> Iterator[tuple[str, Description]]:
    """Yield the name of each of these settings and its description."""
    described = {one.name: one.metadata[_DESCRIPTION] for one in fields(Settings)}
    return ((name, described[name]) for name in names)


_DEFAULTS: dict[str, Any] = {name: described.default for name, described in describe(OF_CODES)}
DEFAULTS = Settings(**_DEFAULTS)
"""Settings of codes where none are given; there is no default ``dtype``."""

_TABLE_DEFAULTS: dict[str, Any] = {name: one.default for name, one in describe(OF_TABLES)}
TABLE_DEFAULTS = replace(
    Settings(**_TABLE_DEFAULTS),
    granularity=CompressionGranularity.PER_TENSOR,
    observer=Observer.MINMAX,
)
"""Settings of look-up tables where none are given; ``n_bits`` has no default."""
