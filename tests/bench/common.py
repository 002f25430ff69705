"""What every peer needs besides its own tool: batches, padding, patching z, and the readout."""

import time
from collections.abc import Callable
from itertools import product, takewhile
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

STRETCH = 32  # a multiple of every smaller batch of a peer


class Peer:
    """Both jobs, batch by batch; a peer says how its tool reads and patches z in a batch.

    Rows of a batch are prompts, or pairs of a patch and a prompt, so that it is full with few
    prompts too.
    """

    answers: tuple[list[int], list[int]]
    batch: int
    n_positions: int  # how many of the last positions are read or patched

    def prepare(self, prompts: list[list[int]], n_positions: int) -> None:
        """Know which prompts the next batches come from."""
        self.n_positions = n_positions

    def read(self, prompts: list[list[int]]) -> tuple[Tensor, Tensor]:
        """z, (n_layers, n_rows, n_positions, n_heads, d_head), and the last position's logits."""
        raise NotImplementedError

    def write(self, prompts: list[list[int]], z: dict[int, Tensor], chosen: Tensor) -> Tensor:
        """Logits at the last position, with z of the chosen heads (n_rows, n_layers, n_heads).

        `z` has the layers in which some row patches a head: (n_rows, n_positions, n_heads, d_head).
        """
        raise NotImplementedError

    @torch.inference_mode()
    def cache(self, prompts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
        """z at the last token, (n_prompts, n_layers, n_heads, d_head), and P(true), P(false)."""
        z, readouts = self._read(prompts, 1)
        return z[:, :, 0].transpose(0, 1).contiguous().float().cpu().numpy(), readouts

    @torch.inference_mode()
    def source(self, prompts: list[list[int]], n_positions: int) -> Tensor:
        """z at the last positions of each prompt."""
        return self._read(prompts, n_positions)[0]

    @torch.inference_mode()
    def patched(
        self, base: list[list[int]], source: Tensor, patches: np.ndarray, n_samples: int = 0
    ) -> np.ndarray:
        """P(true), P(false) of runs with z of the source: (n_patches, n_prompts, 2).

        With `n_samples`, only so many of the stretches of 32 runs (of a batch, where it is larger)
        that the whole job falls into, sorted by length: each is as little padded as it is there.
        The rest is NaN.
        """
        result = np.full((len(patches), len(base), 2), np.nan, np.float32)
        self.prepare(base, source.shape[2])
        pairs = list(product(range(len(patches)), range(len(base))))
        stretches = batches([len(base[row]) for _, row in pairs], max(STRETCH, self.batch))
        for stretch in sample(stretches, n_samples) if n_samples else stretches:
            for start in range(0, len(stretch), self.batch):
                some = [pairs[i] for i in stretch[start : start + self.batch]]
                rows, columns = map(list, zip(*some, strict=True))
                chosen = torch.from_numpy(patches[rows])
                layers = chosen.any(0).any(-1).nonzero()[:, 0].tolist()
                z = {layer: source[layer, columns] for layer in layers}
                logits = self.write([base[column] for column in columns], z, chosen)
                result[rows, columns] = readout(logits, self.answers)
        return result

    def _read(self, prompts: list[list[int]], n_positions: int) -> tuple[Tensor, np.ndarray]:
        """z and readouts of all prompts, in their order."""
        split = batches([len(prompt) for prompt in prompts], self.batch)
        self.prepare(prompts, n_positions)
        actual = [self.read([prompts[row] for row in rows]) for rows in split]
        order = np.argsort(np.concatenate(split))
        readouts = np.concatenate([readout(logits, self.answers) for _, logits in actual])
        return torch.cat([z for z, _ in actual], 1)[:, order], readouts[order]


def sample(stretches: list[list[int]], n: int) -> list[list[int]]:
    """Some of them, evenly drawn; all, where there are no more."""
    n = min(n, len(stretches))
    return [stretches[(2 * i + 1) * len(stretches) // (2 * n)] for i in range(n)]


def load(model: Path | Any, device: str = "cpu", dtype: torch.dtype = torch.float32) -> Any:
    """Load a model with sdpa attention and without gradients; a loaded one is taken as it is."""
    if isinstance(model, Path):
        how = {"dtype": dtype, "attn_implementation": "sdpa"}
        loaded: Any = AutoModelForCausalLM.from_pretrained(str(model), **how)
        model = loaded.to(device)
    return cast(Any, model).eval().requires_grad_(False)


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Do some work; what it gave, and the seconds it took, a GPU's too."""
    _finish()
    start = time.perf_counter()
    actual = work()
    _finish()
    return actual, time.perf_counter() - start


def _finish() -> None:
    """Wait for what a GPU was given to do."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def batches(lengths: list[int], size: int) -> list[list[int]]:
    """Split rows into batches of neighbours in length, so that little is padding."""
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    return [order[start : start + size] for start in range(0, len(order), size)]


def start(prompts: list[list[int]]) -> tuple[int, ...]:
    """Give the tokens that all prompts start with."""
    columns = zip(*prompts, strict=False)
    return tuple(column[0] for column in takewhile(lambda x: len(set(x)) == 1, columns))


def pad(prompts: list[list[int]], n_before: int = 0, device: Any = "cpu") -> dict[str, Tensor]:
    """Pad on the left; `n_before` tokens that every row has already been given come first."""
    length = max(map(len, prompts))
    ids = torch.zeros(len(prompts), length, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, length - len(prompt) :] = torch.tensor(prompt)
        mask[row, length - len(prompt) :] = 1
    positions = n_before + (mask.cumsum(1) - 1).clamp(min=0)
    mask = torch.cat([mask.new_ones(len(prompts), n_before), mask], 1)
    batch = {"input_ids": ids, "attention_mask": mask, "position_ids": positions}
    return {name: x.to(device, non_blocking=True) for name, x in batch.items()}


def overwrite(own: Tensor, z: Tensor, chosen: Tensor) -> None:
    """Patch the chosen heads of one layer in place: (n_rows, n_tokens, n_heads, d_head)."""
    places = chosen.nonzero(as_tuple=True)
    rows, heads = (x.to(own.device, non_blocking=True) for x in places)  # a GPU need not wait
    own[:, -z.shape[1] :][rows, :, heads] = z[rows, :, heads]


def readout(logits: Tensor, answers: tuple[list[int], list[int]]) -> np.ndarray:
    """P(true) and P(false) from the logits at the last token: (n_rows, 2)."""
    p = logits.float().softmax(-1)
    return torch.stack([p[:, ids].sum(-1) for ids in answers], 1).cpu().numpy()
