"""Presets: settings that go by a name, because people know them from the models they run."""

from dataclasses import dataclass

from coreai_opt.settings.arguments import parse_choice
from coreai_opt.settings.enums import CompressionGranularity, DType, Indivisible, Observer
from coreai_opt.settings.settings import Settings

__all__ = ["PRESETS", "Preset", "find_preset", "presets_of"]


@dataclass(frozen=True)
class Preset:
    """Settings with a name.

    Attributes:
        name: its name.
        settings: the settings.
        bits: bits per weight, scales included, for float16 weights of many input channels.
        what: a description, with the place where it is from.
    """

    name: str
    settings: Settings
    bits: float
    what: str

    @property
    def of_tables(self) -> bool:
        """Whether weights become look-up tables, and not codes and scales."""
        return self.settings.n_bits is not None


PRESETS = (
    Preset(
        "macos-4bit",
        Settings(
            dtype=DType.INT4,
            granularity=CompressionGranularity.PER_BLOCK,
            block_size=32,
            observer=Observer.MSE,
            indivisible=Indivisible.FIT,
        ),
        4.5,
        "as apple/coreai-models exports language models for Macs: symmetric, in blocks of 32 input "
        "channels, all 16 codes",
    ),
    Preset(
        "int8",
        Settings(dtype=DType.INT8, granularity=CompressionGranularity.PER_CHANNEL),
        8.0,
        "half of float16, a scale for each output channel; few models notice",
    ),
    Preset(
        "iphone-4bit",
        Settings(n_bits=4, granularity=CompressionGranularity.PER_GROUPED_CHANNEL, group_size=32),
        4.0,
        "as apple/coreai-models exports matrices of language models for iPhone: a look-up table "
        "for each 32 output channels, which the Neural Engine runs",
    ),
)


def presets_of(*, tables: bool) -> tuple[Preset, ...]:
    """Return the presets of look-up tables, or those of codes and scales."""
    return tuple(preset for preset in PRESETS if preset.of_tables is tables)


def find_preset(name: str) -> Preset:
    """Return the preset that a name spells.

    Raises:
        ArgumentError: there is none.
    """
    by_name = {preset.name: preset for preset in PRESETS}
    return by_name[parse_choice("preset", name, by_name)]
