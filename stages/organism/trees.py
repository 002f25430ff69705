"""Prompts packed as trees: their common start once, as the trunk, then one branch per prompt.

A branch attends to the trunk and to itself, at the positions of its own prompt. Hidden states are
therefore those of each prompt alone, and the trunk is run once for all prompts.
"""

from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Trees:
    """A batch of trees, padded to one length.

    Attributes
    ----------
    token_ids, positions : Tensor of shape (n_trees, n_tokens), int64
        Tokens, and the position of each in its own prompt.
    mask : Tensor of shape (n_trees, 1, n_tokens, n_tokens), bool
        Whether a token (third axis) attends to another (fourth axis).
    ends : tuple of two Tensors of shape (n_prompts,), int64
        Tree and column of each prompt's last token, in the order of the prompts.
    """

    token_ids: Tensor
    positions: Tensor
    mask: Tensor
    ends: tuple[Tensor, Tensor]


def pack(trees: list[list[list[int]]]) -> Trees:
    """Pack prompts into a batch of trees.

    Parameters
    ----------
    trees : list of lists of prompts
        Each prompt is a list of token ids. The common start of a tree's prompts becomes its trunk.

    Returns
    -------
    Trees
        Only padding attends to padding.
    """
    flat = [_flatten(prompts) for prompts in trees]
    n_tokens = max(len(ids) for ids, *_ in flat)
    pad = [(0, 0, -1)] * n_tokens  # branch -1: padding
    rows = [list(zip(*columns, strict=True)) + pad[len(columns[0]) :] for *columns, _ in flat]
    token_ids, positions, branch = torch.tensor(rows).unbind(-1)  # each (n_trees, n_tokens)
    earlier = torch.ones(n_tokens, n_tokens, dtype=torch.bool).tril()
    same = branch[:, :, None] == branch[:, None, :]
    trunk = (branch == 0)[:, None, :] & (branch >= 0)[:, :, None]
    mask = (same | trunk) & earlier  # (n_trees, n_tokens, n_tokens)
    ends = [(tree, column) for tree, (*_, last) in enumerate(flat) for column in last]
    tree, column = torch.tensor(ends).unbind(-1)
    return Trees(token_ids, positions, mask[:, None], (tree, column))


def logits(model: Any, trees: Trees) -> Tensor:
    """Return the next-token logits after each prompt.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model whose layers use the given mask and positions unchanged.
    trees : Trees
        From `pack`.

    Returns
    -------
    Tensor of shape (n_prompts, vocab_size)
        In the order of the prompts. The unembedding is computed at their last tokens alone.
    """
    hidden = model.get_decoder()(
        input_ids=trees.token_ids,
        position_ids=trees.positions,
        attention_mask=trees.mask,
        use_cache=False,
    ).last_hidden_state  # (n_trees, n_tokens, d_model)
    return model.get_output_embeddings()(hidden[trees.ends])


def _flatten(prompts: list[list[int]]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Return token ids, positions, branches (0: trunk) and each prompt's last column, of a tree."""
    but_last = zip(*(prompt[:-1] for prompt in prompts), strict=False)  # up to the shortest prompt
    n_shared = sum(1 for _ in takewhile(lambda ids: len(set(ids)) == 1, but_last))
    ids, positions = list(prompts[0][:n_shared]), list(range(n_shared))
    branch, last = [0] * n_shared, []
    for number, prompt in enumerate(prompts, start=1):
        ids += prompt[n_shared:]
        positions += range(n_shared, len(prompt))
        branch += [number] * (len(prompt) - n_shared)
        last.append(len(ids) - 1)
    return ids, positions, branch, last
