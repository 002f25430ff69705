"""Plain Hugging Face forwards with hooks on the input of o_proj."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from tests.bench import common


class Peer(common.Peer):
    """Only layers that some row of a batch patches have a hook, which patches in place."""

    def __init__(self, model: Path | Any, answers: tuple[list[int], list[int]], batch: int = 32):
        self.model, self.answers, self.batch = common.load(model), answers, batch
        self.projections = [layer.self_attn.o_proj for layer in self.model.model.layers]
        self.n_heads = self.model.config.num_attention_heads

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """z at the last positions, and the logits at the last one."""
        z = []

        def keep(own: Tensor, _: int) -> None:
            z.append(own[:, -self.n_positions :].clone())  # a view would hold all positions

        logits = self._hooked(prompts, keep, list(range(len(self.projections))))
        return torch.stack(z), logits

    def write(self, prompts: list[list[int]], z: dict[int, Tensor], chosen: Tensor) -> Tensor:
        """Logits at the last position, with z of the chosen heads."""

        def write(own: Tensor, layer: int) -> None:
            common.overwrite(own, z[layer], chosen[:, layer])

        return self._hooked(prompts, write, list(z))

    def forward(self, prompts: list[list[int]]) -> Tensor:
        """Logits at the last position."""
        batch = common.pad(prompts, device=self.model.device)
        return self.model(**batch, use_cache=False, logits_to_keep=1).logits[:, -1]

    def _hooked(
        self, prompts: list[list[int]], hook: Callable[[Tensor, int], None], layers: list[int]
    ) -> Tensor:
        """Run a batch while `hook` is given z of these layers."""
        with ExitStack() as stack:
            for layer in layers:

                def call(_: object, args: tuple[Tensor], layer: int = layer) -> None:
                    hook(args[0].unflatten(-1, (self.n_heads, -1)), layer)

                handle = self.projections[layer].register_forward_pre_hook(call)
                stack.callback(handle.remove)
            return self.forward(prompts)
