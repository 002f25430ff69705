"""The prompts of one persona, run once and then again for each patch, without repeated work.

Other tools run one full forward per patch, most of which repeats earlier work. Here the tokens of a
prompt fall into three pieces, and the keys and values of a piece are kept for the next piece:

    shared  the wording's own tokens before the          run once, for all rows
            statement, which all prompts start with
    middle  from there to the last `n_tail` tokens       run once per batch, padded on the left
    tail    the last `n_tail` tokens, the same number    run once, then again from the first
            in all rows                                  patched layer for each patch

Where the tail reaches far into the wording's own tokens, only its part after them runs for each
prompt and patch. The part before runs once per patch, for all prompts: stem.py.

On CPUs in float32, the result of a run does not depend on the other rows of its batch, bit by bit.
Matrix products sum a row in the same order whatever the number of rows, unless there are very few:
batches are filled up to that minimum (`batches`, `filled`). And the tokens of a row have the same
alignment in the attention kernel's vectors in any batch.

Up to rounding the shortcut is exact. A patch of the last tokens changes nothing at earlier
positions and nothing below its first layer. In that layer, and in each layer whose units are all
patched, the modules that compute the tensor at the site (attention for z; the MLP or the layer for
other sites) need not run. The last layer's MLP runs at the last position only. The model runs
transformers' own layers with an attention function of this package, so quantised weights and models
spread over GPUs need nothing special. An architecture that fails a check of the shortcut on two
prompts runs full forwards: plain.py.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import finite, hooks, linear, stem, unembed, written
from stages.lib.forward.attention import KeptKeys, Piece, attending
from stages.lib.forward.site import Site, Z
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel

WIDTH = 4  # rows of a batch that differ in length are padded to a multiple of this many tokens
STEM = 16  # tokens of a tail in the shared prefix from which on they are run once for all rows


@dataclass(frozen=True)
class Run:
    """Results of one forward over a batch, at the tail's positions.

    Attributes
    ----------
    last : Tensor of shape (n_prompts, d_model)
        Output of the decoder at the last position, before the unembedding.
    z : Tensor of shape (n_layers, n_prompts, n_tail, n_units, width)
        Each layer's tensor at the site, which is z by default.
    residual : Tensor of shape (n_layers + 1, n_prompts, n_tail, d_model)
        Input of each layer, and the output of the last one. In a run with `keep`, the latter is
        valid at the last position only.
    middle : Piece or None
        Keys and values between the shared piece and the tail, in a run with `keep`.
    """

    last: Tensor
    z: Tensor
    residual: Tensor
    middle: Piece | None

    @property
    def n_bytes(self) -> int:
        """Size of the tensors in bytes."""
        middle = [] if self.middle is None else [*self.middle.keys, *self.middle.values]
        return sum(x.nbytes for x in (self.last, self.z, self.residual, *middle))


class Prompts:
    """The prompts of one persona, with the keys and values of their shared prefix.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    token_ids : list of list of int
        One prompt per row.
    n_tail : int
        Number of last positions at which activations are read or patched. A prompt may have fewer
        tokens; then the activations of its first positions stand for nothing.
    site : Site
        Tensor of each layer that is read and patched.
    prefix : list of int or None
        Tokens that prompts of this wording start with, whatever the statement; None takes the
        longest common prefix of these prompts.
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
        max_length = max(0, min(map(len, token_ids)) - n_tail)
        self.prefix = (
            token_ids[0][: min(_n_common(token_ids), max_length)] if prefix is None else prefix
        )
        # Where each prompt's own tokens begin.
        self.starts = [self._start(ids) for ids in token_ids]
        pairs = zip(token_ids, self.starts, strict=True)
        self.own = [len(ids) - start for ids, start in pairs]  # tokens that a run computes
        self.n_own = max(self.own)
        self.n_graph = n_tail  # tokens per prompt in the graph of `gradient`
        self.shared: Piece | None = None
        # As from `hooks.capture`, at the shared tokens; empty unless a stem is run for all prompts.
        self.at_shared: dict[str, list[Tensor]] = {}

    def has_stem(self, row: int) -> bool:
        """Return whether a part of the prompt's tail runs once for all prompts."""
        return self.starts[row] > max(0, len(self.token_ids[row]) - self.n_tail)

    def width(self, rows: list[int]) -> int:
        """Return the number of tokens per row of patched runs of a batch (`of_like_length`)."""
        if not all(map(self.has_stem, rows)):
            return self.n_tail
        return _round_up(max(min(self.n_tail, self.own[row]) for row in rows), WIDTH)

    @torch.no_grad()
    def run(self, rows: list[int], keep: bool = False) -> Run:
        """Run the prompts of these rows; `keep` what their patched runs need."""
        if self.shared is None and self.prefix:
            self._run_shared()
        middle = self._middle(rows) if keep else None
        with ExitStack() as stack:
            # At other sites the last MLP's output is read at all of the tail's positions.
            if self.n_tail == 1 or (keep and self.site is Z):
                stack.enter_context(hooks.last_position(self.lm))
            captured = stack.enter_context(hooks.capture(self.lm, self.n_tail, self.site))
            last = self._end(rows, middle) if keep else self._rest(rows)
        if any(map(self.has_stem, rows)):
            captured = stem.with_stem(self, rows, captured)
        z, residual = self._units(captured["z"]), self._stack(captured["residual"])
        result = Run(last, z, residual, middle)
        finite.require_run(self, rows, result)
        return result

    @torch.no_grad()
    def patched(
        self,
        rows: list[int],
        base: Run,
        z: Tensor,
        patches: np.ndarray,
        at: Tensor | None = None,
    ) -> Tensor:
        """Run the rows again with some units overwritten at the tail's positions.

        Parameters
        ----------
        rows : list of int
            The rows of `base`.
        base : Run
            From `run` of these rows, with `keep`.
        z : Tensor of shape (n_layers, n_prompts, n_tail, n_units, width)
            Activations to patch in: the source run's `z`, for the same statements.
        patches : ndarray of shape (n_patches, n_layers, n_units), bool
            Units of each patch, in the order of the patches' first layers.
        at : Tensor of shape (n_prompts, n_tail), bool, or None
            Which of the tail's positions are patched; None patches all of them.

        Returns
        -------
        Tensor of shape (n_patches, n_prompts, d_model)
            Output of the decoder at the last position, before the unembedding.

        Raises
        ------
        UserError
            If the output is not finite.
        """
        n, shared = self.width(rows), None
        if any(map(self.has_stem, rows)):
            shared = stem.patched(self, rows, z, patches, at)
        residual, own_z = base.residual[:, :, -n:], base.z[:, :, -n:]
        at = None if at is None else at[:, -n:]
        with self.overwrite(residual, own_z, z[:, :, -n:], patches, at):
            narrow = self.lm.n_layers - 1
            last = self._end(rows, base.middle, len(patches), narrow=narrow, shared=shared)
        outputs = torch.unflatten(last, 0, (len(rows), len(patches))).transpose(0, 1)
        finite.require_patched(self, rows, outputs, patches)
        return outputs

    @contextmanager
    def overwrite(
        self,
        residual: Sequence[Tensor] | Tensor,
        own: Sequence[Tensor] | Tensor,
        z: Mapping[int, Tensor] | Tensor,
        patches: np.ndarray,
        at: Tensor | None,
    ) -> Generator[None]:
        """Patch the last positions, and skip what computes tensors that are known.

        Parameters
        ----------
        residual, own : Tensor or sequence of Tensor
            By layer: its input, (n_prompts, n_positions, d_model), and its tensor at the site,
            (n_prompts, n_positions, n_units, width), in the unpatched run.
        z : Tensor or mapping of int to Tensor
            By patched layer: what is patched in, of the shape of `own`.
        patches : ndarray of shape (n_patches, n_layers, n_units), bool
            Units of each patch, in the order of the patches' first layers. The runs of a patch
            enter the batch in its first layer.
        at : Tensor of shape (n_prompts, n_positions), bool, or None
            Which positions are patched; None patches all of them.
        """
        lm, chosen = self.lm, torch.as_tensor(patches).to(self.lm.device)
        first = written.entries(patches)
        entered = torch.stack([residual[layer] for layer in first.tolist()], dim=1).flatten(0, 1)
        with ExitStack() as stack:
            stack.enter_context(hooks.start_at(lm.layers, int(first[0]), entered))
            stack.enter_context(hooks.last_position(lm, z=False))
            for layer in range(first[0], lm.n_layers):
                n_in, is_new, is_patched = (first <= layer).sum(), first == layer, patches[:, layer]
                is_known = is_new | (is_patched.all(axis=1) & (at is None))
                if is_known[:n_in].all():
                    pair = own[layer][:, None], z[layer][:, None]
                    known = hooks.mix(*pair, chosen[:n_in, layer], at)
                    stack.enter_context(hooks.give(lm, layer, known.flatten(0, 1), self.site))
                elif is_patched.any():
                    new = (z[layer], chosen[:, layer], at)
                    known = (torch.as_tensor(is_new), own[layer]) if is_new.any() else None
                    stack.enter_context(hooks.write(lm, layer, *new, self.site, known))
                entering = hooks.on_first_patches(lm.layers[layer], len(patches), int(n_in))
                stack.enter_context(entering)
            yield

    def gradient(self, rows: list[int], base: Run, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the gradient of a score of the last position's logits with respect to every unit.

        Parameters
        ----------
        rows : list of int
            The rows of `base`.
        base : Run
            From `run` of these rows, with `keep`.
        score : callable
            Maps logits of shape (n_prompts, vocab_size) to scores of shape (n_prompts,).

        Returns
        -------
        Tensor of shape (n_layers, n_prompts, n_tail, n_units, width)
            Gradients at the tail's positions, by one forward and one backward for all units.
        """
        lm = self.lm
        with ExitStack() as stack:
            if self.site is Z:
                stack.enter_context(hooks.last_position(lm))
            z = stack.enter_context(hooks.watch(lm, self.site))
            total = score(unembed.logits(lm, self.tail(rows, base.middle))).sum()
        return self._units(list(torch.autograd.grad(total, z)))

    def _to_device(self, layers: list[Tensor]) -> list[Tensor]:
        """Collect the tensors of layers that may be spread over devices on one device."""
        return [x.to(self.lm.device) for x in layers]

    def _stack(self, layers: list[Tensor]) -> Tensor:
        """Stack the tensors captured in each layer: (n_layers, n_prompts, n_tail, width)."""
        return torch.stack(self._to_device(layers))

    def _units(self, layers: list[Tensor]) -> Tensor:
        """Stack the tensors, split into units: (n_layers, n_prompts, n_tail, n_units, width)."""
        return torch.unflatten(self._stack(layers), -1, self.site.shape(self.lm))

    def _rest(self, rows: list[int]) -> Tensor:
        """Run the tokens after the shared piece: (n_prompts, d_model) at the last position."""
        prompts = [self.token_ids[row] for row in rows]
        starts, ends = [self.starts[row] for row in rows], [len(ids) for ids in prompts]
        tokens = [ids[start:] for ids, start in zip(prompts, starts, strict=True)]
        return self.forward(tokens, ends, multiple=WIDTH)[0]

    def _middle(self, rows: list[int]) -> Piece | None:
        """Return the keys and values between the shared piece and the tail, or None."""
        tokens = [self.token_ids[row][self.starts[row] : -self.n_tail] for row in rows]
        ends = [len(self.token_ids[row]) - self.n_tail for row in rows]
        if not max(map(len, tokens)):
            return None
        with hooks.last_position(self.lm):
            return self.forward(tokens, ends, record=True, multiple=WIDTH)[1]

    def tail(self, rows: list[int], middle: Piece | None, n_patches: int = 1) -> Tensor:
        """Run the whole tail of some prompts, with the hooks that are set.

        Parameters
        ----------
        rows : list of int
            The prompts' numbers.
        middle : Piece or None
            From `run` of these rows, with `keep`.
        n_patches : int
            Number of runs per prompt; the runs of a prompt are adjacent rows of the batch.

        Returns
        -------
        Tensor of shape (n_rows, d_model)
            Output of the decoder at the last position.
        """
        prompts = [self.token_ids[row] for row in rows]
        tokens, ends = [ids[-self.n_tail :] for ids in prompts], [len(ids) for ids in prompts]
        return self.forward(tokens, ends, middle, n_patches, multiple=self.n_tail)[0]

    def _end(
        self,
        rows: list[int],
        middle: Piece | None,
        n_patches: int = 1,
        narrow: int | None = None,
        shared: Piece | None = None,
    ) -> Tensor:
        """Run the tail, or its part after the shared piece: the last `width` positions."""
        n, prompts = self.width(rows), [self.token_ids[row] for row in rows]
        tokens = [ids[-min(n, self.own[row]) :] for row, ids in zip(rows, prompts, strict=True)]
        ends = [len(ids) for ids in prompts]
        return self.forward(
            tokens, ends, middle, n_patches, narrow=narrow, multiple=n, shared=shared
        )[0]

    def forward(
        self,
        tokens: list[list[int]],
        ends: list[int],
        middle: Piece | None = None,
        n_patches: int = 1,
        record: bool = False,
        narrow: int | None = None,
        multiple: int = 1,
        shared: Piece | None = None,
    ) -> tuple[Tensor, Piece]:
        """Run tokens that end at the positions `ends` of their prompts, after the kept pieces.

        Rows are padded to the same length, a multiple of `multiple`. Returns the decoder's output
        at the last position, and the tokens as a piece. The other parameters are as in `KeptKeys`.
        """
        width = _round_up(max(map(len, tokens)), multiple)
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
                kept=KeptKeys(shared or self.shared, middle, piece, n_patches, record, narrow),
            )
        return output.last_hidden_state[:, -1], piece

    def _run_shared(self) -> None:
        """Keep the keys and values of the shared prefix, and its activations for stems."""
        lm, piece = self.lm, Piece(torch.arange(len(self.prefix))[None])
        ids = torch.tensor([self.prefix], device=lm.device)
        kept = KeptKeys(None, None, piece, record=True)
        with ExitStack() as stack:
            if any(map(self.has_stem, range(len(self.own)))):
                capture = hooks.capture(lm, len(self.prefix), self.site)
                self.at_shared = stack.enter_context(capture)
            else:
                stack.enter_context(hooks.last_position(lm))
            stack.enter_context(attending(lm))
            stack.enter_context(linear.fast(lm.device))
            lm.decoder(input_ids=ids, use_cache=False, kept=kept)
        self.shared = piece
        # Runs are kept on this device, too, if the layers are spread over several.
        self.at_shared = {name: self._to_device(x) for name, x in self.at_shared.items()}

    def _start(self, ids: list[int]) -> int:
        """Return where a prompt's own tokens begin: at the end of the prefix, or before the tail.

        Tails with few tokens of the prefix are run as a whole, for each prompt.
        """
        common = min(_n_common([ids, self.prefix]), len(ids) - 1)
        tail = max(0, len(ids) - self.n_tail)
        return common if common - tail >= STEM else min(common, tail)


def require_tokens(key: str, n_tail: int, token_ids: list[list[int]]) -> None:
    """Refuse to read or patch more positions than a prompt has.

    Parameters
    ----------
    key : str
        Key of params.yaml that sets the positions, for the message.
    n_tail : int
        Number of last positions that are read or patched.
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
    """Return the length of the longest common prefix of some prompts."""
    low, high = min(token_ids), max(token_ids)  # in sorted order, the pair that differs earliest
    token_pairs = enumerate(zip(low, high, strict=False))
    return next((i for i, (a, b) in token_pairs if a != b), min(len(low), len(high)))


def _round_up(n: int, multiple: int) -> int:
    """Return the next multiple that is not less than n."""
    return -(-n // multiple) * multiple
