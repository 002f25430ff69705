"""TransformerLens, its TransformerBridge with hook_z of every layer."""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformer_lens.model_bridge import TransformerBridge  # pyright: ignore[reportMissingImports]

from tests.bench import common


class Peer(common.Peer):
    """Only layers that some row of a batch patches have a hook, which patches in place.

    Compatibility mode, which folds weights, is left off: these numbers do not need it. The bridge
    computes attention itself, scores first, so that sdpa cannot be had.
    """

    def __init__(self, folder: Path, answers: tuple[list[int], list[int]], batch: int = 16):
        self.answers, self.batch = answers, batch
        # Given a loaded model, it does not let the model record attention weights.
        self.bridge = TransformerBridge.boot_transformers(
            str(folder), hf_model=common.load(folder), device="cpu", dtype=torch.float32
        )
        self.names = [f"blocks.{i}.attn.hook_z" for i in range(self.bridge.cfg.n_layers)]

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """z at the last positions, and the logits at the last one."""
        logits, cache = self.bridge.run_with_cache(
            **batch_of(prompts),
            names_filter=self.names,
            pos_slice=(-self.n_positions, None),
            output_attentions=False,
        )
        return torch.stack([cache[name] for name in self.names]), logits[:, -1]

    def write(self, prompts: list[list[int]], z: dict[int, Tensor], chosen: Tensor) -> Tensor:
        """Logits at the last position, with z of the chosen heads."""

        def writer(layer: int) -> Any:
            def hook(own: Tensor, hook: Any) -> Tensor:
                common.overwrite(own, z[layer], chosen[:, layer])
                return own

            return hook

        hooks = [(self.names[layer], writer(layer)) for layer in z]
        return self.bridge.run_with_hooks(**batch_of(prompts), fwd_hooks=hooks)[:, -1]


def batch_of(prompts: list[list[int]]) -> dict[str, Any]:
    """Arguments of a forward; the last two go through to the Hugging Face model."""
    batch: dict[str, Any] = common.pad(prompts)
    batch["input"] = batch.pop("input_ids")
    return batch | {"use_cache": False, "logits_to_keep": 1}
