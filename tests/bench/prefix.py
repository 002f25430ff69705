"""Hugging Face with the keys and values of the prompts' common start kept, by hand."""

from typing import Any, cast

import torch
from torch import Tensor
from transformers import DynamicCache

from tests.bench import common, hf


class Peer(hf.Peer):
    """Each forward runs only what is a prompt's own, after the cache of what all start with."""

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.kept: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = {}
        self.start: tuple[int, ...] = ()

    def cache(self, prompts: list[list[int]]) -> tuple[Any, Any]:
        """z and readouts, with the common start run anew: it is part of the job."""
        self.kept.clear()
        return super().cache(prompts)

    def prepare(self, prompts: list[list[int]], n_positions: int) -> None:
        """Run what all prompts start with, unless that was run before."""
        super().prepare(prompts, n_positions)
        self.start = common.start([prompt[:-n_positions] for prompt in prompts])
        if self.start and self.start not in self.kept:
            cache = DynamicCache(config=self.model.config)
            ids = torch.tensor([self.start], device=self.model.device)
            self.model.model(ids, past_key_values=cache)
            self.kept[self.start] = [
                (layer.keys, layer.values) for layer in cast(Any, cache).layers
            ]

    def forward(self, prompts: list[list[int]]) -> Tensor:
        """Logits at the last position."""
        if not self.start:
            return super().forward(prompts)
        n_start = len(self.start)
        batch = common.pad([prompt[n_start:] for prompt in prompts], n_start, self.model.device)
        cache = self._expanded(len(prompts))
        return self.model(**batch, past_key_values=cache, logits_to_keep=1).logits[:, -1]

    def _expanded(self, n_rows: int) -> DynamicCache:
        """A cache that shows the kept keys and values in every row, without a copy of them."""
        cache = DynamicCache(config=self.model.config)
        for layer, (keys, values) in zip(
            cast(Any, cache).layers, self.kept[self.start], strict=True
        ):
            layer.lazy_initialization(keys, values)
            layer.keys = keys.expand(n_rows, -1, -1, -1)
            layer.values = values.expand(n_rows, -1, -1, -1)
        return cache
