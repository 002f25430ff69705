"""Prompts run whole by the model's own decoder: the last resort, and what tests compare with."""

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import finite, hooks, unembed
from stages.lib.forward.attention import Piece
from stages.lib.forward.prompts import Prompts, Run
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel


class PlainPrompts(Prompts):
    """The same as `Prompts`, without any shortcut: only prompts of one length share a forward."""

    def __init__(
        self,
        lm: LanguageModel,
        token_ids: list[list[int]],
        n_tail: int,
        site: Site = Z,
        prefix: list[int] | None = None,
    ) -> None:
        super().__init__(lm, token_ids, n_tail, site, prefix)
        self.own = list(map(len, token_ids))
        self.n_own = self.n_graph = self.longest

    @torch.no_grad()
    def run(self, rows: list[int], keep: bool = False) -> Run:
        """Run the prompts of these rows."""
        groups = self._by_length(rows)
        runs: list[Run] = []
        for group in groups:
            with hooks.capture(self.lm, self.n_tail, self.site) as captured:
                last = self._whole([rows[i] for i in group])
            z, residual = self._units(captured["z"]), self._stack(captured["residual"])
            runs.append(Run(last, z, residual, None))
        made = Run(
            _back(groups, [run.last for run in runs], 0),
            _back(groups, [run.z for run in runs], 1),
            _back(groups, [run.residual for run in runs], 1),
            None,
        )
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
        """Run again, once per patch, with some units overwritten at the tail's positions."""
        groups = self._by_length(rows)
        last = torch.stack(
            [
                _back(groups, [self._patched(rows, group, z, units, at) for group in groups], 0)
                for units in patches
            ]
        )
        finite.require_patched(self, rows, last, patches)
        return last

    def gradient(self, rows: list[int], base: Run, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Differentiate a score of the last position's logits by every unit."""
        groups = self._by_length(rows)
        by_group: list[Tensor] = []
        for group in groups:
            with hooks.watch(self.lm, self.site) as z:
                total = score(unembed.logits(self.lm, self._whole([rows[i] for i in group]))).sum()
            gradients = torch.autograd.grad(total, z)
            by_group.append(self._units([g[:, -self.n_tail :] for g in gradients]))
        return _back(groups, by_group, 1)

    def tail(
        self, rows: list[int], middle: Piece | None, n_patches: int = 1, narrow: int | None = None
    ) -> Tensor:
        """Run whole prompts, of one length, each so often."""
        del middle, narrow  # shortcuts
        return self._whole([row for row in rows for _ in range(n_patches)])

    def _patched(
        self,
        rows: list[int],
        group: list[int],
        z: Tensor,
        units: np.ndarray,
        at: Tensor | None,
    ) -> Tensor:
        """Run some rows with one patch; (n_prompts, d_model) at the last position."""
        at = None if at is None else at[group]
        with ExitStack() as stack:
            for layer in map(int, np.flatnonzero(units.any(axis=1))):
                new = (z[layer, group], torch.as_tensor(units[None, layer]), at)
                stack.enter_context(hooks.write(self.lm, layer, *new, self.site))
            return self._whole([rows[i] for i in group])

    def _by_length(self, rows: list[int]) -> list[list[int]]:
        """Places in `rows` of the prompts of each length: padding would not be plain."""
        lengths = [len(self.token_ids[row]) for row in rows]
        return [[i for i, n in enumerate(lengths) if n == length] for length in set(lengths)]

    def _whole(self, rows: list[int]) -> Tensor:
        """Run whole prompts of one length; (n_prompts, d_model) at the last position."""
        ids = torch.tensor([self.token_ids[row] for row in rows], device=self.lm.device)
        return self.lm.decoder(input_ids=ids, use_cache=False).last_hidden_state[:, -1]


def _back(groups: list[list[int]], parts: list[Tensor], dim: int) -> Tensor:
    """Put results of groups into the order of the rows."""
    order = torch.tensor([i for group in groups for i in group]).argsort()
    return torch.cat(parts, dim).index_select(dim, order.to(parts[0].device))
