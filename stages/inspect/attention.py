"""What some heads attend to, in each statement's prompts."""

import copy
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import batches, linear
from stages.lib.model.lm import LanguageModel
from stages.lib.patching.patch import Head

AT_ONCE = 32  # prompts in a forward


@dataclass(frozen=True)
class Attended:
    """Attention of some heads; attributes as in `inspection.Inspection`.

    Attributes
    ----------
    last, prefix : ndarray
    reasons : dict of str to str
    """

    last: np.ndarray
    prefix: np.ndarray
    reasons: dict[str, str] = field(default_factory=dict[str, str])


class NotGivenError(Exception):
    """A model that does not give its attention."""


@torch.no_grad()
def look(lm: LanguageModel, prompts: list[list[list[int]]], heads: list[Head]) -> Attended:
    """Read the attention that transformers' plain ("eager") attention gives.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    prompts : list of list of list of int
        Token ids of each statement's prompt, by role.
    heads : list of Head
        Which heads.

    Returns
    -------
    Attended
    """
    n, longest = len(prompts[0]), max(len(ids) for of_role in prompts for ids in of_role)
    last = np.zeros((len(prompts), n, len(heads), longest), np.float32)
    shared = [_n_shared(of_role) for of_role in prompts]
    prefix = np.zeros((len(prompts), len(heads), max(shared), max(shared)), np.float32)
    if not heads:
        return Attended(last, prefix)
    try:
        with _eager(lm), linear.fast(lm.device):
            for role, of_role in enumerate(prompts):
                size = shared[role]
                cache, prefix[role, :, :size, :size] = _prefix(lm, of_role[0][:size], heads)
                for row, weights in _last(lm, of_role, size, cache, heads):
                    last[role, row, :, : weights.shape[-1]] = weights
    except NotGivenError as error:
        reason = {"attention": f"{type(lm.model).__name__}: {error}"}
        return Attended(last[..., :0], prefix[..., :0, :0], reason)
    return Attended(last, prefix)


def _n_shared(prompts: list[list[int]]) -> int:
    """How many tokens all prompts begin with, each with at least one more."""
    low, high = min(prompts), max(prompts)
    pairs = enumerate(zip(low, high, strict=False))
    common = next((i for i, (a, b) in pairs if a != b), min(len(low), len(high)))
    return min(common, min(map(len, prompts)) - 1)


def _prefix(lm: LanguageModel, ids: list[int], heads: list[Head]) -> tuple[Any, np.ndarray]:
    """Keys and values of what all prompts begin with, and attention in it; nothing of no token."""
    if not ids:
        return None, np.zeros((len(heads), 0, 0), np.float32)
    output = lm.decoder(
        input_ids=torch.tensor([ids], device=lm.device), use_cache=True, output_attentions=True
    )
    return output.past_key_values, _of_heads(output, heads)[0]


def _last(
    lm: LanguageModel, prompts: list[list[int]], start: int, cache: Any, heads: list[Head]
) -> Iterator[tuple[int, np.ndarray]]:
    """Each prompt's row, and attention from its last token: (n_heads, n_tokens)."""
    lengths = [len(ids) for ids in prompts]
    alike = [np.flatnonzero(np.array(lengths) == n).tolist() for n in sorted(set(lengths))]
    cut = [part for rows in alike for part in batches.parts(rows, AT_ONCE)]
    results: list[tuple[list[int], np.ndarray]] = []
    for rows in batches.share(cut):
        kept = copy.deepcopy(cache)
        if kept is not None:
            kept.batch_repeat_interleave(len(rows))
        output = lm.decoder(
            input_ids=torch.tensor([prompts[row][start:] for row in rows], device=lm.device),
            past_key_values=kept,
            use_cache=True,
            output_attentions=True,
        )
        results.append((rows, _of_heads(output, heads)[:, :, -1]))
    for rows, weights in batches.gather(results):
        yield from zip(rows, weights, strict=True)


def _of_heads(output: Any, heads: list[Head]) -> np.ndarray:
    """Attention of some heads: (n_prompts, n_heads, n_new, n_tokens)."""
    attentions: list[Tensor | None] = list(getattr(output, "attentions", None) or [])
    layers = {layer: attentions[layer] for layer, _ in heads if layer < len(attentions)}
    if len(layers) < len({layer for layer, _ in heads}) or any(
        weights is None for weights in layers.values()
    ):
        raise NotGivenError("it does not give the attention of these layers")
    return np.stack([batches.numbers(layers[layer][:, head]) for layer, head in heads], axis=1)  # pyright: ignore[reportOptionalSubscript]


@contextmanager
def _eager(lm: LanguageModel) -> Generator[None]:
    """Let the model's layers make their attention where it can be seen."""
    config = lm.model.config.get_text_config()
    own = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = own
