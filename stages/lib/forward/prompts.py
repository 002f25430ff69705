"""The prompts of one persona, run once and then again for each patch, without repeated work.

Other tools run one whole forward per patch, most of which repeats earlier work. Here the tokens of
a prompt fall into three pieces, and the result of a piece is kept for the next piece:

    shared  the wording's own tokens before the          run once, for all rows
            statement, which all prompts start with
    middle  from there to the last `n_tail` tokens       run once a batch, padded on the left
    tail    the last `n_tail` tokens, as many in all     run once, then again from the first
            rows                                         patched layer for each patch

What a run gives does not depend on the other rows of its batch, bit by bit, on CPUs in float32: a
product's rows are summed alike in any number of rows but a few, so that a batch has no fewer
(`batches`, `filled`); and tokens of a row stand at the same places of the attention kernel's
vectors in any batch.

Up to rounding this is exact: a patch of the last tokens changes nothing before them and nothing
below its first layer; in that layer, and in each whose units are all written, what makes the tensor
at the site (attention for z, the MLP or the layer for the other sites) need not run; the last
layer's MLP runs at the last position. transformers' own layers do the work, with an attention
function of ours, so quantised weights and models spread over GPUs need nothing special. An
architecture that does not allow the shortcut (a check on two prompts tells) is run plainly:
plain.py.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import finite, hooks, linear, unembed
from stages.lib.forward.attention import Kept, Piece, attending
from stages.lib.forward.site import Site, Z
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

WIDTH = 4  # rows of a batch that have other widths are padded to a multiple of it


@dataclass(frozen=True)
class Run:
    """What one forward over a batch leaves behind, at the tail's positions.

    Attributes
    ----------
    last : Tensor of shape (n_prompts, d_model)
        What the decoder gives at the last position, to be unembedded.
    z : Tensor of shape (n_layers, n_prompts, n_tail, n_units, width)
        Each layer's tensor at the site, which is z unless another one was asked for.
    residual : Tensor of shape (n_layers + 1, n_prompts, n_tail, d_model)
        Input of each layer, and the output of the last one, which in a run that patched runs are
        to start from is right at the last position only.
    middle : Piece or None
        Keys and values between shared piece and tail, in a run that patched runs are to start from.
    """

    last: Tensor
    z: Tensor
    residual: Tensor
    middle: Piece | None

    @property
    def n_bytes(self) -> int:
        """Bytes that it takes."""
        middle = [] if self.middle is None else [*self.middle.keys, *self.middle.values]
        return sum(x.nbytes for x in (self.last, self.z, self.residual, *middle))


class Prompts:
    """The prompts of one persona, with the keys and values of what all of them start with.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    token_ids : list of list of int
        One prompt per row.
    n_tail : int
        Positions, counted from the end, at which activations are read or patched; each prompt has
        as many tokens (`require_tokens`).
    site : Site
        Where in each layer.
    prefix : list of int or None
        Tokens that prompts of this wording start with, whatever the statement; None takes what
        these prompts start with.
    """

    def __init__(
        self,
        lm: LanguageModel,
        token_ids: list[list[int]],
        n_tail: int,
        site: Site = Z,
        prefix: list[int] | None = None,
    ) -> None:
        self.lm, self.token_ids, self.n_tail, self.site = lm, token_ids, n_tail, site
        self.longest = max(map(len, token_ids))
        most = min(map(len, token_ids)) - n_tail
        self.prefix = token_ids[0][: min(_n_common(token_ids), most)] if prefix is None else prefix
        # where each prompt's own tokens begin
        self.starts = [min(_n_common([ids, self.prefix]), len(ids) - n_tail) for ids in token_ids]
        pairs = zip(token_ids, self.starts, strict=True)
        self.own = [len(ids) - start for ids, start in pairs]  # tokens that a run computes
        self.n_own = max(self.own)
        self.n_graph = n_tail  # tokens that `gradient` keeps a graph of
        self._shared: Piece | None = None

    @torch.no_grad()
    def run(self, rows: list[int], keep: bool = False) -> Run:
        """Run the prompts of these rows; `keep` what patched runs of them start from."""
        if self._shared is None and self.prefix:
            self._shared = self._run_shared()
        middle = self._middle(rows) if keep else None
        with ExitStack() as stack:
            if self.n_tail == 1 or (keep and self.site is Z):  # other sites come after the MLP
                stack.enter_context(hooks.last_position(self.lm))
            captured = stack.enter_context(hooks.capture(self.lm, self.n_tail, self.site))
            last = self.tail(rows, middle) if keep else self._rest(rows)
        z, residual = self._units(captured["z"]), self._stack(captured["residual"])
        made = Run(last, z, residual, middle)
        finite.require_run(self, rows, made)
        return made

    @torch.no_grad()
    def patched(
        self,
        rows: list[int],
        base: Run,
        z: Tensor,
        patches: np.ndarray,
        at: Tensor | None = None,
    ) -> Tensor:
        """Run again with some units overwritten at the tail's positions.

        Parameters
        ----------
        rows : list of int
            The rows of `base`.
        base : Run
            What `run` kept of these rows.
        z : Tensor of shape (n_layers, n_prompts, n_tail, n_units, width)
            What to patch in: the source run's `z`, for the same statements.
        patches : ndarray of shape (n_patches, n_layers, n_units), bool
            Units of each patch; all patches have the same first layer.
        at : Tensor of shape (n_prompts, n_tail), bool, or None
            At which of the tail's positions; None at all of them.

        Returns
        -------
        Tensor of shape (n_patches, n_prompts, d_model)
            What the decoder gives at the last position, to be unembedded.

        Raises
        ------
        UserError
            If it is no number.
        """
        lm, chosen = self.lm, torch.as_tensor(patches).to(self.lm.device)
        first = int(np.flatnonzero(patches.any(axis=(0, 2)))[0])
        residual = base.residual[first].repeat_interleave(len(patches), dim=0)
        with ExitStack() as stack:
            stack.enter_context(hooks.start_at(lm.layers, first, residual))
            stack.enter_context(hooks.last_position(lm, z=False))
            for layer in range(first, lm.n_layers):
                written = patches[:, layer]
                if layer == first or (written.all() and at is None):
                    own, other = base.z[layer][:, None], z[layer][:, None]
                    known = hooks.mix(own, other, chosen[:, layer], at)
                    stack.enter_context(hooks.give(lm, layer, known.flatten(0, 1), self.site))
                elif written.any():
                    new = (z[layer], chosen[:, layer], at)
                    stack.enter_context(hooks.write(lm, layer, *new, self.site))
            last = self.tail(rows, base.middle, len(patches), narrow=lm.n_layers - 1)
        read = torch.unflatten(last, 0, (len(rows), len(patches))).transpose(0, 1)
        finite.require_patched(self, rows, read, patches)
        return read

    def gradient(self, rows: list[int], base: Run, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Differentiate a score of the last position's logits by every unit.

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
        Tensor of shape (n_layers, n_prompts, n_tail, n_units, width)
            At the tail's positions. One forward and one backward for all units together.
        """
        lm = self.lm
        with ExitStack() as stack:
            if self.site is Z:
                stack.enter_context(hooks.last_position(lm))
            z = stack.enter_context(hooks.watch(lm, self.site))
            total = score(unembed.logits(lm, self.tail(rows, base.middle))).sum()
        return self._units(list(torch.autograd.grad(total, z)))

    def _stack(self, layers: list[Tensor]) -> Tensor:
        """Bring what was captured in each layer together: (n_layers, n_prompts, n_tail, width)."""
        return torch.stack([x.to(self.lm.device) for x in layers])

    def _units(self, layers: list[Tensor]) -> Tensor:
        """Stack the layers' tensors: (n_layers, n_prompts, n_tail, n_units, width)."""
        return torch.unflatten(self._stack(layers), -1, self.site.shape(self.lm))

    def _rest(self, rows: list[int]) -> Tensor:
        """Run what stands after the shared piece; (n_prompts, d_model) at the last position."""
        prompts = [self.token_ids[row] for row in rows]
        starts, ends = [self.starts[row] for row in rows], [len(ids) for ids in prompts]
        tokens = [ids[start:] for ids, start in zip(prompts, starts, strict=True)]
        return self._forward(tokens, ends, multiple=WIDTH)[0]

    def _middle(self, rows: list[int]) -> Piece | None:
        """Keys and values between the shared piece and the tail, if there is anything."""
        tokens = [self.token_ids[row][self.starts[row] : -self.n_tail] for row in rows]
        ends = [len(self.token_ids[row]) - self.n_tail for row in rows]
        if not max(map(len, tokens)):
            return None
        with hooks.last_position(self.lm):
            return self._forward(tokens, ends, record=True, multiple=WIDTH)[1]

    def tail(
        self, rows: list[int], middle: Piece | None, n_patches: int = 1, narrow: int | None = None
    ) -> Tensor:
        """Run the tail of some prompts, with whatever hooks are set.

        Parameters
        ----------
        rows : list of int
            Which prompts.
        middle : Piece or None
            What `run` kept of these rows.
        n_patches : int
            How often each prompt is run; rows of the batch are prompts, each so often in a row.
        narrow : int or None
            Layer in which nothing reads z but at the last position.

        Returns
        -------
        Tensor of shape (n_rows, d_model)
            What the decoder gives at the last position.
        """
        prompts = [self.token_ids[row] for row in rows]
        tokens, ends = [ids[-self.n_tail :] for ids in prompts], [len(ids) for ids in prompts]
        return self._forward(tokens, ends, middle, n_patches, narrow=narrow)[0]

    def _forward(
        self,
        tokens: list[list[int]],
        ends: list[int],
        middle: Piece | None = None,
        n_patches: int = 1,
        record: bool = False,
        narrow: int | None = None,
        multiple: int = 1,
    ) -> tuple[Tensor, Piece]:
        """Run tokens that stand in their prompts before `ends`, after what is kept.

        Rows are padded to a common multiple of tokens. Returns the decoder's output at the last
        position, and the tokens as a piece.
        """
        width = -(-max(map(len, tokens)) // multiple) * multiple
        ids = torch.tensor([[0] * (width - len(row)) + row for row in tokens])
        column = torch.arange(width)
        text = column >= width - torch.tensor([len(row) for row in tokens])[:, None]
        positions = torch.where(text, torch.tensor(ends)[:, None] - width + column, -1)
        piece, device = Piece(positions), self.lm.device
        with attending(self.lm), linear.fast(self.lm.device):
            output = self.lm.decoder(
                input_ids=ids.repeat_interleave(n_patches, dim=0).to(device),
                position_ids=positions.clamp(min=0).repeat_interleave(n_patches, dim=0).to(device),
                use_cache=False,
                kept=Kept(self._shared, middle, piece, n_patches, record, narrow),
            )
        return output.last_hidden_state[:, -1], piece

    def _run_shared(self) -> Piece:
        """Keys and values of what all prompts start with."""
        piece = Piece(torch.arange(len(self.prefix))[None])
        ids = torch.tensor([self.prefix], device=self.lm.device)
        kept = Kept(None, None, piece, record=True)
        with attending(self.lm), linear.fast(self.lm.device), hooks.last_position(self.lm):
            self.lm.decoder(input_ids=ids, use_cache=False, kept=kept)
        return piece


def require_tokens(key: str, n_tail: int, token_ids: list[list[int]]) -> None:
    """Refuse to read or patch more positions than a prompt has.

    Parameters
    ----------
    key : str
        Of params.yaml, which asks for them.
    n_tail : int
        How many, counted from the end.
    token_ids : list of list of int
        One prompt per row, at least one.

    Raises
    ------
    UserError
        If a prompt has fewer tokens.
    """
    shortest = min(map(len, token_ids))
    if shortest < n_tail:
        raise UserError(
            f"params.yaml: {key}: the last {n_tail} positions asked for, expected at most "
            f"{shortest}, as many as the shortest prompt has tokens"
        )


def _n_common(token_ids: list[list[int]]) -> int:
    """Count the tokens that all of some prompts start with."""
    low, high = min(token_ids), max(token_ids)  # the two that differ earliest, in sorted order
    both = enumerate(zip(low, high, strict=False))
    return next((i for i, (a, b) in both if a != b), min(len(low), len(high)))
