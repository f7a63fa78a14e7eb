"""Make samples for networks: sounds, sentences, pictures of a line or of some lines of text.

Three files: ``calibration.npz`` to calibrate on, ``held_out.npz`` to measure on, and ``other.npz``
with samples of another kind, to see what calibrating on the wrong ones does. Text is the reference
prose that Python's own ``help()`` shows. ``evaluate.py`` reads the files::

    pip install pillow tokenizers
    python examples/calibration/samples.py sounds build/crepe
    python examples/calibration/samples.py sentences build/minilm --tokenizer tokenizer.json
    python examples/calibration/samples.py lines build/reader
    python examples/calibration/samples.py pages build/pages
"""

import argparse
import inspect
import pydoc_data.topics
import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from tokenizers import Tokenizer

Array = npt.NDArray[Any]

BATCH, TOKENS = 10, 32
"""Sentences of a sample, and the length that they are padded or cut to."""
FRAMES, SAMPLING_RATE = 4, 16000
"""Frames of 1024 values of a sample of sound, and how many values are a second."""
WIDTH, HEIGHT = 320, 48
"""Of a picture of a line, in pixels."""
LINES, SPACING = 4, 40
"""Of a page: how many lines it has, and how many pixels each is high."""


def prose() -> str:
    """Return the text of Python's reference, without its tables and rulers."""
    text = " ".join(pydoc_data.topics.topics[key] for key in sorted(pydoc_data.topics.topics))
    return re.sub(r"\s+", " ", re.sub(r"[`*:\"|~^=_+\-]{2,}", " ", text))


def sounds(random: np.random.Generator, count: int) -> dict[str, Array]:
    """Return frames of tones with overtones and noise, ``x`` ``[count, FRAMES, 1024]``."""
    time = np.arange(1024) / SAMPLING_RATE
    frames = []
    for _ in range(count * FRAMES):
        pitch = np.exp(random.uniform(np.log(50), np.log(1500)))
        frame = random.normal(0, 10 ** random.uniform(-3, -0.5), 1024)
        for number in range(1, random.integers(2, 13)):
            if pitch * number < SAMPLING_RATE / 2:
                loudness = random.uniform(0.2, 1) / number ** random.uniform(0.3, 1.5)
                phase = random.uniform(0, 2 * np.pi)
                frame += loudness * np.sin(2 * np.pi * pitch * number * time + phase)
        frames.append((frame - frame.mean()) / frame.std())
    return {"x": np.array(frames, np.float32).reshape(count, FRAMES, 1024)}


def noise(random: np.random.Generator, count: int) -> dict[str, Array]:
    """Return frames without any tone."""
    return {"x": random.standard_normal((count, FRAMES, 1024), np.float32)}


def tokenized(tokenizer: Tokenizer, texts: list[str]) -> dict[str, Array]:
    """Return texts as ``input_ids`` and ``attention_mask``, ``[samples, BATCH, TOKENS]``."""
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    encoded = tokenizer.encode_batch(texts)
    shape = (-1, BATCH, TOKENS)
    return {
        "input_ids": np.array([one.ids for one in encoded], np.int32).reshape(shape),
        "attention_mask": np.array([one.attention_mask for one in encoded], np.int32).reshape(
            shape
        ),
    }


def sentences(random: np.random.Generator) -> list[str]:
    """Return the sentences of the reference, in any order."""
    found = [one.strip() for one in re.split(r"(?<=[.!?]) ", prose())]
    found = [one for one in found if 40 < len(one) < 180 and one[0].isupper()]
    return [found[i] for i in random.permutation(len(found))]


def source_lines() -> list[str]:
    """Return lines of programs."""
    source = inspect.getsource(argparse) + inspect.getsource(textwrap)
    return [line.strip() for line in source.splitlines() if len(line.strip()) > 30]


def lines(random: np.random.Generator, count: int, *, bright: bool = False) -> dict[str, Array]:
    """Return pictures of lines of text, ``x`` ``[count, 1, 3, HEIGHT, WIDTH]``, from -1 to 1.

    Args:
        random: where chance comes from.
        count: how many.
        bright: bright digits on a dark ground instead of dark words on a bright one.
    """
    pictures = [picture(random, HEIGHT, [0], bright=bright) for _ in range(count)]
    return {"x": np.stack(pictures).astype(np.float32)}


def pages(random: np.random.Generator, count: int, *, bright: bool = False) -> dict[str, Array]:
    """Return pictures of some lines, ``x`` ``[count, 1, 3, LINES * SPACING, WIDTH]``, float16.

    Args:
        random: where chance comes from.
        count: how many.
        bright: bright digits on a dark ground instead of dark words on a bright one.
    """
    pictures = []
    for _ in range(count):
        written = random.permutation(LINES)[: random.integers(1, LINES + 1)] * SPACING
        pictures.append(picture(random, LINES * SPACING, written, bright=bright))
    return {"x": np.stack(pictures).astype(np.float16)}


def picture(
    random: np.random.Generator, height: int, written: Sequence[int], *, bright: bool
) -> Array:
    """Return a picture, ``[1, 3, height, WIDTH]``, with a line of text at some heights."""
    words, texts = prose().split(), []
    for _ in written:
        at = random.integers(len(words) - 8)
        texts.append(" ".join(words[at : at + random.integers(2, 5)])[:28])
    ground, ink = int(random.integers(170, 256)), int(random.integers(0, 90))
    if bright:
        texts, ground, ink = [str(random.integers(10**12)) for _ in written], ink, ground
    image = Image.new("RGB", (WIDTH, height), (ground,) * 3)
    for top, text in zip(written, texts, strict=True):
        place = (int(random.integers(2, 12)), int(top + random.integers(2, 10)))
        font = ImageFont.load_default(int(random.integers(24, 36)))
        ImageDraw.Draw(image).text(place, text, font=font, fill=(ink,) * 3)
    grain = random.normal(0, random.uniform(0, 12), (height, WIDTH, 3))
    values = (np.asarray(image, np.float32) + grain) / 127.5 - 1
    return values.clip(-1, 1).transpose(2, 0, 1)[np.newaxis]


def main() -> None:
    """Write the three files."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("kind", choices=("sounds", "sentences", "lines", "pages"))
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("--tokenizer", help="of sentences: a tokenizer.json")
    arguments = parser.parse_args()
    random = np.random.default_rng(1)
    made: dict[str, Callable[[], dict[str, Array]]]
    if arguments.kind == "sounds":
        made = {
            "held_out": lambda: sounds(random, 16),
            "calibration": lambda: sounds(random, 96),
            "other": lambda: noise(random, 96),
        }
    elif arguments.kind == "lines":
        made = {
            "held_out": lambda: lines(random, 24),
            "calibration": lambda: lines(random, 192),
            "other": lambda: lines(random, 96, bright=True),
        }
    elif arguments.kind == "pages":
        made = {
            "held_out": lambda: pages(random, 24),
            "calibration": lambda: pages(random, 96),
            "other": lambda: pages(random, 96, bright=True),
        }
    else:
        tokenizer, texts = Tokenizer.from_file(arguments.tokenizer), sentences(random)
        code = source_lines()
        made = {
            "held_out": lambda: tokenized(tokenizer, texts[:100]),
            "calibration": lambda: tokenized(tokenizer, texts[100:1060]),
            "other": lambda: tokenized(tokenizer, code[:960]),
        }
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for name, make in made.items():
        np.savez(arguments.folder / f"{name}.npz", **make())


if __name__ == "__main__":
    main()
