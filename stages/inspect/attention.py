"""Attention of some heads, in each statement's prompts."""

import copy
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import DynamicCache

from stages.lib.forward import batches, linear
from stages.lib.model.lm import LanguageModel
from stages.lib.patching.patch import Head

AT_ONCE = 32  # prompts per forward pass
ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}
"""Kinds of layers in transformers that keep keys and values, and nothing else."""


@dataclass(frozen=True)
class AttentionResults:
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
    """The model does not return attention weights."""


@torch.no_grad()
def look(lm: LanguageModel, prompts: list[list[list[int]]], heads: list[Head]) -> AttentionResults:
    """Read the attention weights of some heads, with the "eager" attention of transformers.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    prompts : list of list of list of int
        Token ids of each statement's prompt, by role.
    heads : list of Head
        Heads to read.

    Returns
    -------
    Attended
    """
    n, longest = len(prompts[0]), max(len(ids) for role_prompts in prompts for ids in role_prompts)
    last = np.zeros((len(prompts), n, len(heads), longest), np.float32)
    shared = [_n_shared(role_prompts) for role_prompts in prompts]
    prefix = np.zeros((len(prompts), len(heads), max(shared), max(shared)), np.float32)
    if not heads:
        return AttentionResults(last, prefix)
    try:
        with _eager(lm), linear.fast(lm.device):
            for role, role_prompts in enumerate(prompts):
                size = shared[role]
                cache, prefix[role, :, :size, :size] = _prefix(lm, role_prompts[0][:size], heads)
                for row, weights in _last(lm, role_prompts, size, cache, heads):
                    last[role, row, :, : weights.shape[-1]] = weights
    except NotGivenError as error:
        reason = {"attention": f"{type(lm.model).__name__}: {error}"}
        return AttentionResults(last[..., :0], prefix[..., :0, :0], reason)
    return AttentionResults(last, prefix)


def _n_shared(prompts: list[list[int]]) -> int:
    """Count the tokens of the common prefix; each prompt has at least one token more."""
    low, high = min(prompts), max(prompts)
    pairs = enumerate(zip(low, high, strict=False))
    common = next((i for i, (a, b) in pairs if a != b), min(len(low), len(high)))
    return min(common, min(map(len, prompts)) - 1)


def _prefix(lm: LanguageModel, ids: list[int], heads: list[Head]) -> tuple[Any, np.ndarray]:
    """Return the key-value cache of the common prefix (None if empty), and attention within it.

    The cache is made without the model's configuration, so that it keeps all keys: that of a layer
    with a sliding window would keep the last ones alone, and weights would be of other tokens. A
    model with layers other than attention makes a cache of its own kind.
    """
    if not ids:
        return None, np.zeros((len(heads), 0, 0), np.float32)
    kinds = set(getattr(lm.model.config.get_text_config(), "layer_types", None) or ())
    output = lm.decoder(
        input_ids=torch.tensor([ids], device=lm.device),
        past_key_values=DynamicCache() if kinds <= ATTENTION else None,
        use_cache=True,
        output_attentions=True,
    )
    return output.past_key_values, _of_heads(output, heads)[0]


def _last(
    lm: LanguageModel, prompts: list[list[int]], start: int, cache: Any, heads: list[Head]
) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each prompt's row, and attention from its last token: (n_heads, n_tokens)."""
    lengths = [len(ids) for ids in prompts]
    rows_by_length = [np.flatnonzero(np.array(lengths) == n).tolist() for n in sorted(set(lengths))]
    row_batches = [part for rows in rows_by_length for part in batches.parts(rows, AT_ONCE)]
    results: list[tuple[list[int], np.ndarray]] = []
    for rows in batches.share(row_batches):
        prefix_cache = copy.deepcopy(cache)
        if prefix_cache is not None:
            prefix_cache.batch_repeat_interleave(len(rows))
        output = lm.decoder(
            input_ids=torch.tensor([prompts[row][start:] for row in rows], device=lm.device),
            past_key_values=prefix_cache,
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
    """Set the model to eager attention, which returns attention weights."""
    config = lm.model.config.get_text_config()
    implementation = config._attn_implementation
    config._attn_implementation = "eager"
    try:
        yield
    finally:
        config._attn_implementation = implementation
