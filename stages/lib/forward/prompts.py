"""The prompts of one persona, run once and then again for each patch, without repeated work.

Peers run one whole forward for each patch; most of that repeats work that is already done. Here the
tokens of a prompt fall into three pieces, and what a piece gives is kept for the next one:

    shared  what all prompts of a persona start with     run once, for all rows
    middle  from there to the last `n_tail` tokens       run once a batch, padded on the left
    tail    the last `n_tail` tokens, as many in all     run once, then again from the first
            rows                                         patched layer for each patch

Up to rounding this is exact: a patch of the last tokens changes nothing before them and nothing
below its first layer; in that layer z is known without attention, and so it is in each layer whose
heads are all written; the last layer's MLP runs at the last position. transformers' own layers do
the work, so grouped-query attention, quantised weights and models spread over GPUs need nothing
special. Where an architecture does not allow the shortcut (a check on two prompts tells), every run
is one plain forward over the whole prompt.
"""

import warnings
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from stages.lib.cli import UserError
from stages.lib.forward import hooks
from stages.lib.forward.attention import Kept, Piece, attending
from stages.lib.lm import LanguageModel

# Root mean square difference of logits, as a share of their spread, that is rounding and no error.
# On SmolLM2-135M: up to 3e-6 in float32 and 0.04 in bfloat16, where padding alone makes 0.07.
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.1, "float16": 0.02}


@dataclass(frozen=True)
class Run:
    """What one forward over a batch leaves behind, at the tail's positions.

    Attributes
    ----------
    logits : Tensor of shape (n_prompts, vocab_size)
        At the last position.
    z : Tensor of shape (n_layers, n_prompts, n_tail, n_heads, d_head)
        Input of each layer's output projection.
    residual : Tensor of shape (n_layers + 1, n_prompts, n_tail, d_model)
        Input of each layer, and the output of the last one, which in a run that patched runs are
        to start from is right at the last position only.
    middle : Piece or None
        Keys and values between shared piece and tail, in a run that patched runs are to start from.
    """

    logits: Tensor
    z: Tensor
    residual: Tensor
    middle: Piece | None


class Prompts:
    """The prompts of one persona, with the keys and values of what all of them start with.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    token_ids : list of list of int
        One prompt a row.
    n_tail : int
        Positions, counted from the end, at which activations are read or written.
    shortcut : bool
        False runs each prompt whole: the reference that the shortcut is checked against.

    Raises
    ------
    UserError
        If a prompt has fewer than `n_tail` tokens.
    """

    def __init__(
        self, lm: LanguageModel, token_ids: list[list[int]], n_tail: int, shortcut: bool = True
    ) -> None:
        shortest = min(len(ids) for ids in token_ids)
        if shortest < n_tail:
            raise UserError(
                f"params.yaml: {n_tail} positions asked for, but a prompt has {shortest} tokens"
            )
        self.lm, self.token_ids, self.n_tail, self.shortcut = lm, token_ids, n_tail, shortcut
        self.n_shared = _n_shared(token_ids, shortest - n_tail) if shortcut else 0
        self._shared: Piece | None = None

    @torch.no_grad()
    def run(self, rows: list[int], keep: bool = False) -> Run:
        """Run the prompts of these rows; `keep` what patched runs of them start from."""
        lm = self.lm
        if self._shared is None and self.n_shared:
            self._shared = self._run_shared()
        middle = self._middle(rows) if keep and self.shortcut else None
        with ExitStack() as stack:
            if keep and self.shortcut:
                stack.enter_context(hooks.last_position(lm))
            captured = stack.enter_context(hooks.capture(lm, self.n_tail))
            logits = self._tail(rows, middle) if keep else self._rest(rows)
        z = torch.stack([z.to(lm.device) for z in captured["z"]])
        z = z.unflatten(-1, (lm.n_heads, lm.d_head))  # (n_layers, n_prompts, n_tail, heads, d)
        residual = torch.stack([r.to(lm.device) for r in captured["residual"]])
        return Run(logits, z, residual, middle)

    @torch.no_grad()
    def patched(self, rows: list[int], base: Run, z: Tensor, patches: np.ndarray) -> Tensor:
        """Run again with some heads' z overwritten at the tail's positions.

        Parameters
        ----------
        rows : list of int
            The rows of `base`.
        base : Run
            What `run` kept of these rows.
        z : Tensor of shape (n_layers, n_prompts, n_tail, n_heads, d_head)
            What to write: the source run's `z`, for the same statements.
        patches : ndarray of shape (n_patches, n_layers, n_heads), bool
            Where each patch writes; all in the same first layer.

        Returns
        -------
        Tensor of shape (n_patches, n_prompts, vocab_size)
            Logits at the last position.
        """
        if not self.shortcut:
            return torch.stack([self._patched_plainly(rows, z, heads) for heads in patches])
        lm, chosen = self.lm, torch.from_numpy(patches).to(self.lm.device)
        first = int(np.flatnonzero(patches.any(axis=(0, 2)))[0])
        residual = base.residual[first].repeat_interleave(len(patches), dim=0)
        with ExitStack() as stack:
            stack.enter_context(hooks.start_at(lm, first, residual))
            stack.enter_context(hooks.last_position(lm))
            for layer in range(first, lm.n_layers):
                written = patches[:, layer]
                if layer == first or written.all():
                    known = hooks.mix(base.z[layer][:, None], z[layer][:, None], chosen[:, layer])
                    stack.enter_context(hooks.give_z(lm, layer, known.flatten(0, 1)))
                elif written.any():
                    stack.enter_context(hooks.write_z(lm, layer, z[layer], chosen[:, layer]))
            logits = self._tail(rows, base.middle, len(patches))
        return logits.unflatten(0, (len(rows), len(patches))).transpose(0, 1)

    def gradient(self, rows: list[int], base: Run, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Differentiate a score of the last position's logits by z of every head.

        Parameters
        ----------
        rows : list of int
            The rows of `base`.
        base : Run
            What `run` kept of these rows.
        score : callable
            From logits of shape (n_prompts, vocab_size) to (n_prompts,).

        Returns
        -------
        Tensor of shape (n_layers, n_prompts, n_tail, n_heads, d_head)
            At the tail's positions. One forward and one backward for all heads together.
        """
        lm = self.lm
        with torch.enable_grad(), ExitStack() as stack:
            stack.enter_context(hooks.differentiable(lm))
            stack.enter_context(hooks.last_position(lm))
            z = stack.enter_context(hooks.watch_z(lm))
            total = score(self._tail(rows, base.middle)).sum()
            found = torch.autograd.grad(total, z)
        tails = torch.stack([g[:, -self.n_tail :].to(lm.device) for g in found])
        return tails.unflatten(-1, (lm.n_heads, lm.d_head))

    def _patched_plainly(self, rows: list[int], z: Tensor, heads: np.ndarray) -> Tensor:
        """Run the whole prompt with one patch; logits (n_prompts, vocab_size)."""
        with ExitStack() as stack:
            for layer in np.flatnonzero(heads.any(axis=1)):
                chosen = torch.from_numpy(heads[None, layer])
                stack.enter_context(hooks.write_z(self.lm, int(layer), z[layer], chosen))
            return self._rest(rows)

    def _rest(self, rows: list[int]) -> Tensor:
        """Run what stands after the shared piece; logits at the last position."""
        prompts = [self.token_ids[row] for row in rows]
        tokens, ends = [ids[self.n_shared :] for ids in prompts], [len(ids) for ids in prompts]
        return self._forward(tokens, ends)[0]

    def _middle(self, rows: list[int]) -> Piece | None:
        """Keys and values between the shared piece and the tail, if there is anything."""
        prompts = [self.token_ids[row] for row in rows]
        tokens = [ids[self.n_shared : -self.n_tail] for ids in prompts]
        ends = [len(ids) - self.n_tail for ids in prompts]
        with hooks.last_position(self.lm):
            return self._forward(tokens, ends, record=True)[1] if max(map(len, tokens)) else None

    def _tail(self, rows: list[int], middle: Piece | None, n_patches: int = 1) -> Tensor:
        """Run the tail, each row so often; logits at the last position."""
        if not self.shortcut:
            return self._rest(rows)
        prompts = [self.token_ids[row] for row in rows]
        tokens, ends = [ids[-self.n_tail :] for ids in prompts], [len(ids) for ids in prompts]
        return self._forward(tokens, ends, middle, n_patches)[0]

    def _forward(
        self,
        tokens: list[list[int]],
        ends: list[int],
        middle: Piece | None = None,
        n_patches: int = 1,
        record: bool = False,
    ) -> tuple[Tensor, Piece]:
        """Call the model on tokens that stand in their prompts before `ends`, after what is kept.

        Returns the logits at the last position, and the tokens as a piece.
        """
        width = max(map(len, tokens))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in tokens])
        column = torch.arange(width)
        text = column >= width - torch.tensor([len(row) for row in tokens])[:, None]
        positions = torch.where(text, torch.tensor(ends)[:, None] - width + column, -1)
        piece, device = Piece(positions), self.lm.device
        how: dict[str, Any] = {"attention_mask": text.long().to(device)}
        with ExitStack() as stack:
            if self.shortcut:
                how = {"kept": Kept(self._shared, middle, piece, n_patches, record)}
                stack.enter_context(attending(self.lm))
            output = self.lm.model(
                input_ids=ids.repeat_interleave(n_patches, dim=0).to(device),
                position_ids=positions.clamp(min=0).repeat_interleave(n_patches, dim=0).to(device),
                use_cache=False,
                logits_to_keep=1,
                **how,
            )
        return output.logits[:, -1], piece

    def _run_shared(self) -> Piece:
        """Keys and values of what all prompts start with."""
        piece = Piece(torch.arange(self.n_shared)[None])
        ids = torch.tensor([self.token_ids[0][: self.n_shared]], device=self.lm.device)
        kept = Kept(None, None, piece, record=True)
        with attending(self.lm), hooks.last_position(self.lm):
            self.lm.model(input_ids=ids, use_cache=False, logits_to_keep=1, kept=kept)
        return piece


def shortcut_is_exact(lm: LanguageModel, token_ids: list[list[int]], n_tail: int) -> bool:
    """Compare the shortcut with plain forwards, on the shortest and the longest prompt.

    Warns and returns False if an architecture does not give the same logits both ways, or fails.
    """
    pair = [min(token_ids, key=len), max(token_ids, key=len)]
    plain = Prompts(lm, pair, n_tail, shortcut=False).run([0, 1]).logits
    prompts = Prompts(lm, pair, n_tail)
    middle = np.zeros((1, lm.n_layers, lm.n_heads), bool)
    middle[:, lm.n_layers // 2] = True
    try:
        run = prompts.run([0, 1], keep=True)
        logits = prompts.patched([0, 1], run, run.z, middle)[0]  # itself into itself: no change
    except torch.cuda.OutOfMemoryError:
        raise  # plain forwards would need more
    except (RuntimeError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        reason = f"it fails: {type(error).__name__}: {error}"
    else:
        difference = float((logits - plain).float().square().mean().sqrt() / plain.float().std())
        if difference <= TOLERANCE.get(lm.dtype, 0.1):
            return True
        reason = f"logits differ by {difference:.2g} of their spread"
    name = type(lm.model).__name__
    warnings.warn(
        f"{name}: plain forwards, because the shortcut is not exact: {reason}", stacklevel=2
    )
    return False


def _n_shared(token_ids: list[list[int]], most: int) -> int:
    """Count the tokens that all prompts start with, up to so many."""
    low, high = min(token_ids), max(token_ids)  # the two that differ earliest, in sorted order
    n = next((i for i, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), len(low))
    return min(n, most)
