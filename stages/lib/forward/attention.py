"""Attention over keys and values kept from earlier forwards, without copying them.

A query attends to the tokens that all prompts share, and to the prompt's own tokens. transformers
would copy the keys and values of both into one tensor for every forward, and again for every query
head of a group. Here the shared keys and values, which are most, are not copied unless a patch
changed them: all queries meet them in one matrix product, and the query heads of a group are folded
into its rows.

On CPUs a fused kernel of torch computes the scores, softmax and z of each piece in half the time,
and the pieces are combined by the logarithms of their softmax sums. The kernel has no soft cap, and
those logarithms have no gradient: where either is needed, and on GPUs, the scores of all pieces go
through one softmax.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import pad

from stages.lib.model.lm import LanguageModel

NAME = "kept_keys"  # the name of `attend` in transformers
FUSED: Any = getattr(torch.ops.aten, "_scaled_dot_product_flash_attention_for_cpu", None)
BLOCKED = -1e4  # added to a masked score: e^-10000 is 0, and float16 can represent -1e4
# A row's own tokens are padded to whole vectors of the kernel, or to whole blocks if they exceed a
# block, so that the order of its sums over a row's tokens does not depend on the longest row of the
# batch. Fewer queries than ROWS are padded to whole vectors too: each thread's memory then has the
# same alignment.
VECTOR, BLOCK, ROWS = 16, 512, 32


@dataclass
class Piece:
    """Keys and values of some tokens, layer by layer, after the rotary embedding.

    Attributes
    ----------
    positions : Tensor of shape (n_prompts, n_tokens), int64, on the CPU
        Position of each token in its prompt; -1 for padding. `n_prompts` is 1 for tokens that all
        prompts share.
    keys, values : list of Tensor of shape (n_kv_heads, n_prompts, n_tokens, d_head)
        One per layer, in the order in which the layers ran; the narrower of the two is padded to
        the width of the other.
    entry : Tensor of shape (n_prompts, n_patches), int64, or None
        For each row of the batch, the index along the second axis of the keys and values that the
        row attends to, in layers where this axis is longer than 1; None where all rows attend to
        the only entry, or each row to its own.
    """

    positions: Tensor
    keys: list[Tensor] = field(default_factory=list[Tensor])
    values: list[Tensor] = field(default_factory=list[Tensor])
    entry: Tensor | None = None

    def of_layer(self, layer: int, n_patches: int) -> tuple[Tensor, Tensor]:
        """Return keys and values to which the rows of the first patches attend in a layer."""
        key, value = (
            x if self.entry is None else _of_rows(x, self.entry[:, :n_patches].flatten())
            for x in (self.keys[layer], self.values[layer])
        )
        return key, value


@dataclass
class KeptKeys:
    """Inputs of attention in one forward, besides the new tokens' own queries, keys and values.

    Attributes
    ----------
    shared : Piece or None
        The shared prefix of all prompts; after a patch, an entry for each row of the batch.
    middle : Piece or None
        Each prompt's tokens between the shared prefix and the new tokens. A row whose own tokens
        (`middle` and `new`) begin before the prefix ends attends to the prefix up to there.
    new : Piece
        The new tokens' positions, one row per prompt; with `record`, `attend` appends their keys
        and values.
    n_patches : int
        Number of adjacent rows of the batch per prompt.
    record : bool
        Whether to keep the new tokens' keys and values.
    narrow : int or None
        Layer whose z is read at the last position only.
    """

    shared: Piece | None
    middle: Piece | None
    new: Piece
    n_patches: int = 1
    record: bool = False
    narrow: int | None = None
    _masks: dict[Any, list[Tensor | None]] = field(default_factory=dict[Any, list[Tensor | None]])

    def masks(self, window: int | None, device: Any, dtype: Any) -> list[Tensor | None]:
        """Return additive masks of shared and own tokens: (n_prompts, 1, n_new, n_tokens).

        A token attends to itself and to earlier tokens; with a `window`, only to the last `window`
        of these. A mask is None where nothing is masked.
        """
        key = (window, device)
        if key not in self._masks:
            own = self._own_positions()
            visible = [self._visible_tokens(own, window)]
            if self.shared:
                start = torch.where(own < 0, torch.iinfo(own.dtype).max, own).amin(1)[:, None, None]
                key_positions = self.shared.positions
                visible.insert(
                    0,
                    self._visible_tokens(key_positions, window)
                    & (key_positions[:, None, :] < start),
                )
            self._masks[key] = [
                None if s.all() else (~s)[:, None].to(device, dtype) * BLOCKED for s in visible
            ]
        return self._masks[key]

    def _own_positions(self) -> Tensor:
        """Return the positions of each row's own tokens, left-padded: (n_prompts, n_tokens)."""
        own = torch.cat([x.positions for x in (self.middle, self.new) if x], dim=1)
        return pad(own, (_n_front(own.shape[1]), 0), value=-1)

    def _visible_tokens(self, positions: Tensor, window: int | None) -> Tensor:
        """Mark the tokens to which each new token attends: (n_prompts, n_new, n_tokens), bool."""
        key_positions, query_positions = positions[:, None, :], self.new.positions[:, :, None]
        visible = (key_positions >= 0) & (key_positions <= query_positions)
        return visible if window is None else visible & (key_positions > query_positions - window)

    def extend(self, layer: int, key: Tensor, value: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return keys and values of the shared tokens, and of own tokens (middle, then new)."""
        if self.record:
            self.new.keys.append(key.contiguous())
            self.new.values.append(value.contiguous())
        n = self.n_patches
        old = self.middle.of_layer(layer, n) if self.middle else (None, None)
        own = (self._after(old[0], key), self._after(old[1], value))
        return [self.shared.of_layer(layer, n), own] if self.shared else [own]

    def _after(self, old: Tensor | None, new: Tensor) -> Tensor:
        """Join the keys or values of the middle and of new tokens, with zeros in front."""
        n_old = 0 if old is None else old.shape[2]
        n_front = _n_front(n_old + new.shape[2])
        if not n_old and not n_front:
            return new
        front = new.new_zeros(1, 1, 1, 1).expand(*new.shape[:2], n_front, new.shape[3])
        if old is None:
            return torch.cat([front, new], dim=2)
        if self.n_patches > 1:
            old = old.repeat_interleave(self.n_patches, dim=1)
        return torch.cat([front, old, new], dim=2)


@contextmanager
def attending(lm: LanguageModel) -> Generator[None]:
    """Make the model's layers call `attend` within the context."""
    # The import takes seconds; a stage whose runs are all remembered does not need it.
    from transformers import AttentionInterface

    AttentionInterface.register(NAME, attend)  # pyright: ignore[reportUnknownMemberType]
    config = lm.model.config.get_text_config()
    own = config._attn_implementation
    config._attn_implementation = NAME
    try:
        yield
    finally:
        config._attn_implementation = own


def attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    kept: KeptKeys,
    scaling: float | None = None,
    softcap: float | None = None,
    sliding_window: int | None = None,
    **other: Any,
) -> tuple[Tensor, None]:
    """Compute attention over kept and new tokens; an attention function of transformers.

    Parameters
    ----------
    module : Module
        The calling attention module; `layer_idx` is its layer.
    query : Tensor of shape (n_rows, n_heads, n_new, d_key)
        Rows are prompts, each with its patches in adjacent rows.
    key : Tensor of shape (n_rows, n_kv_heads, n_new, d_key)
        Keys of the new tokens.
    value : Tensor of shape (n_rows, n_kv_heads, n_new, d_head)
        Values of the new tokens; narrower than the keys in latent attention (MLA).
    attention_mask : None
        Must be None: masks come from positions.
    kept : Kept
        Passed to the model's forward, which passes it on.
    scaling, softcap, sliding_window
        As transformers gives them.

    Returns
    -------
    Tensor of shape (n_rows, n_new, n_heads, d_head)
        z; in a narrow layer, z of the last position at all positions. The second element of the
        pair is None, in place of attention weights.

    Raises
    ------
    NotImplementedError
        If the architecture adds something to scores that is not supported here.
    """
    extra = [name for name in ("s_aux", "position_bias") if other.get(name) is not None]
    if attention_mask is not None or extra:
        raise NotImplementedError(f"attention with {', '.join(extra) or 'a mask'}")
    if module.layer_idx == kept.narrow:
        query = query[:, :, -1:]
    d_value = value.shape[-1]
    query = query * (query.shape[-1] ** -0.5 if scaling is None else scaling)
    query, key, value = _widen(query, key, value)
    n_rows, n_heads, n_query, d_head = query.shape
    n_kv_heads, n_new = key.shape[1:3]
    n_group, n_prompts = n_heads // n_kv_heads, n_rows // kept.n_patches
    query = torch.unflatten(query, 1, (n_kv_heads, n_group)).transpose(0, 1)
    query = query.reshape(n_kv_heads, n_prompts, -1, n_query, d_head)
    pieces = kept.extend(module.layer_idx, key.transpose(0, 1), value.transpose(0, 1))

    masks = [
        None if mask is None else mask[:, :, -n_query:]
        for mask in kept.masks(sliding_window, query.device, query.dtype)
    ]
    fits = query.device.type == "cpu" and not softcap
    if FUSED and fits and not query.requires_grad:
        z = _fused(query, pieces, masks)
    else:
        z = _softmax(query, pieces, masks, softcap)
    z = z.view(n_kv_heads, n_rows, n_group, n_query, d_head)[..., :d_value]
    z = z.permute(1, 3, 0, 2, 4).reshape(n_rows, n_query, n_heads, d_value)
    return z.expand(-1, n_new, -1, -1), None


def _of_rows(x: Tensor, entry: Tensor) -> Tensor:
    """Select the entry of each row along the second axis, or the only one for all rows."""
    if x.shape[1] == 1:
        return x.expand(-1, len(entry), -1, -1)
    return x.index_select(1, entry.to(x.device))


def _n_front(width: int) -> int:
    """Return how many tokens of padding fill `width` own tokens to whole vectors or blocks."""
    return -width % (VECTOR if width <= BLOCK else BLOCK)


def _widen(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Pad tensors with zeros to the width of the widest, which changes neither scores nor z."""
    width = max(x.shape[-1] for x in tensors)
    return tuple(x if x.shape[-1] == width else pad(x, (0, width - x.shape[-1])) for x in tensors)


# Shapes below. Query and z: (n_kv_heads, n_prompts, n_patches * n_group, n_query, d_head). Keys and
# values of a piece: (n_kv_heads, 1 or n_prompts * n_patches, n_tokens, d_head). Mask:
# (n_prompts, 1, n_query, n_tokens).


def _fused(
    query: Tensor, pieces: list[tuple[Tensor, Tensor]], masks: list[Tensor | None]
) -> Tensor:
    """Compute z per piece by torch's kernel, weighted by the share of the softmax sum."""
    piece_results: list[tuple[Tensor, Tensor]] = []
    for (keys, values), mask in zip(pieces, masks, strict=True):
        if mask is not None:
            mask = mask.expand(-1, query.shape[2], -1, -1)
            mask = mask.reshape(keys.shape[1], 1, -1, keys.shape[2])
        folded = _fold(query, keys)
        n = folded.shape[2]
        if lacking := -n % VECTOR if n < ROWS else 0:
            folded = pad(folded, (0, 0, 0, lacking))
            mask = None if mask is None else pad(mask, (0, 0, 0, lacking))
        of_rows = (x.transpose(0, 1) for x in (folded, keys, values))
        outputs: tuple[Tensor, Tensor] = FUSED(*of_rows, attn_mask=mask, scale=1.0)
        z, total = (x.transpose(0, 1)[:, :, :n] for x in outputs)
        piece_results.append((z.reshape(query.shape), total.reshape(query.shape[:-1])))
    z, total = piece_results[0]
    for other, other_total in piece_results[1:]:  # there are at most two pieces
        # Not `sigmoid`: it has another kernel for the last few elements of a tensor.
        share = (1 / (1 + torch.exp(total - other_total)))[..., None]
        z = torch.lerp(z, other, share.to(z.dtype))
    return z


def _softmax(
    query: Tensor,
    pieces: list[tuple[Tensor, Tensor]],
    masks: list[Tensor | None],
    softcap: float | None,
) -> Tensor:
    """Compute z by one softmax over the scores of all pieces."""
    scores: list[Tensor] = []
    for (keys, _), mask in zip(pieces, masks, strict=True):
        score = _fold(query, keys) @ keys.transpose(-1, -2)
        score = softcap * torch.tanh(score / softcap) if softcap else score
        score = score.view(*query.shape[:-1], keys.shape[2])
        scores.append(score if mask is None else score + mask)
    weights = torch.cat(scores, dim=-1).softmax(dim=-1, dtype=torch.float32).to(query.dtype)
    parts = torch.split(weights, [keys.shape[2] for keys, _ in pieces], dim=-1)
    score = [
        (_fold(part, values) @ values).view(query.shape)
        for part, (_, values) in zip(parts, pieces, strict=True)
    ]
    return score[0] if len(score) == 1 else score[0] + score[1]


def _fold(x: Tensor, piece: Tensor) -> Tensor:
    """Fold x into the rows of a product with a piece: (n_kv_heads, 1 or n_rows, rows, width)."""
    return x.reshape(len(piece), piece.shape[1], -1, x.shape[-1])
