"""pyvene, with one intervention a layer at the input of o_proj."""

from pathlib import Path
from typing import Any

import pyvene  # pyright: ignore[reportMissingImports]
import torch
from torch import Tensor

from tests.bench import common


class Peer(common.Peer):
    """Only layers that some row of a batch writes are given a source, and so a hook."""

    def __init__(self, folder: Path, answers: tuple[list[int], list[int]], batch: int = 16):
        self.answers, self.batch = answers, batch
        model = common.load(folder)
        self.n_heads, n_layers = model.config.num_attention_heads, model.config.num_hidden_layers
        width = model.model.layers[0].self_attn.o_proj.in_features
        # Made by hand, as pyvene takes the model's width, and the last dimension is to be kept.
        sizes = {"embed_dim": width, "keep_last_dim": True}
        self.reader, self.writer = (
            pyvene.IntervenableModel(
                [
                    {
                        "layer": layer,
                        "component": "attention_value_output",
                        "intervention": intervention(**sizes),
                    }
                    for layer in range(n_layers)
                ],
                model=model,
            )
            for intervention in (pyvene.CollectIntervention, Overwrite)
        )

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """z at the last positions, and the logits at the last one."""
        (_, z), output = self.reader(**self._inputs(prompts))
        return torch.stack(z).unflatten(-1, (self.n_heads, -1)), output.logits[:, -1]

    def write(self, prompts: list[list[int]], z: dict[int, Tensor], chosen: Tensor) -> Tensor:
        """Logits at the last position, with z of the chosen heads."""
        keys = self.writer.sorted_keys
        _, output = self.writer(
            **self._inputs(prompts),
            source_representations={keys[layer]: z[layer] for layer in z},
            subspaces=list(chosen.unbind(1)),
        )
        return output.logits[:, -1]

    def _inputs(self, prompts: list[list[int]]) -> dict[str, Any]:
        """Arguments of a forward: the batch, and the last positions for every layer and row."""
        batch = common.pad(prompts)
        end = batch["input_ids"].shape[1]
        rows = [list(range(end - self.n_positions, end))] * len(prompts)
        return {
            "base": batch | {"use_cache": False, "logits_to_keep": 1},
            "unit_locations": {"sources->base": (None, [rows] * len(self.reader.sorted_keys))},
        }


class Overwrite(pyvene.VanillaIntervention):
    """Takes each row's own heads from the source.

    pyvene's own swap mixes up rows whose subspaces differ but are equally many.
    """

    def forward(self, base: Tensor, source: Tensor, subspaces: Tensor, **_: Any) -> Tensor:
        """Write heads `subspaces`, (n_rows, n_heads), of a copy of z that pyvene then puts back."""
        common.overwrite(base.unflatten(-1, source.shape[-2:]), source, subspaces)
        return base
