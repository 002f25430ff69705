"""nnsight, one trace per batch."""

from pathlib import Path

import torch
from nnsight import TransformersModel  # pyright: ignore[reportMissingImports]
from torch import Tensor
from transformers import AutoTokenizer

from tests.bench import common

LAST = {"use_cache": False, "logits_to_keep": 1}  # go through to the Hugging Face model


class Peer(common.Peer):
    """Only layers that some row of a batch patches are visited; z is patched in place."""

    def __init__(self, folder: Path, answers: tuple[list[int], list[int]], batch: int = 16):
        self.answers, self.batch = answers, batch
        self.model = TransformersModel(
            common.load(folder),
            task="text-generation",
            tokenizer=AutoTokenizer.from_pretrained(folder),
        )
        self.projections = [layer.self_attn.o_proj for layer in self.model.model.layers]
        self.n_heads = self.model.config.num_attention_heads

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """z at the last positions, and the logits at the last one."""
        with self.model.trace(**common.pad(prompts), **LAST):
            z = [p.input[:, -self.n_positions :].clone() for p in self.projections].save()  # pyright: ignore[reportAttributeAccessIssue]  # which nnsight gives lists
            logits = self.model.output.logits[:, -1].save()
        return torch.stack(z).unflatten(-1, (self.n_heads, -1)), logits

    def write(self, prompts: list[list[int]], z: dict[int, Tensor], chosen: Tensor) -> Tensor:
        """Logits at the last position, with z of the chosen heads."""
        with self.model.trace(**common.pad(prompts), **LAST):
            for layer in z:
                own = self.projections[layer].input.unflatten(-1, (self.n_heads, -1))
                common.overwrite(own, z[layer], chosen[:, layer])
            logits = self.model.output.logits[:, -1].save()
        return logits
