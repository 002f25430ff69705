"""Full forwards by the model's own decoder: the fallback, and the reference of the tests."""

from collections.abc import Callable
from contextlib import ExitStack

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from stages.lib.forward import finite, hooks, unembed
from stages.lib.forward.attention import Piece
from stages.lib.forward.prompts import Prompts, Run
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel


class PlainPrompts(Prompts):
    """`Prompts` without any shortcut: only prompts of the same length share a forward."""

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

    def has_stem(self, row: int) -> bool:
        """Return False: all tokens run for each prompt."""
        del row
        return False

    @torch.no_grad()
    def run(self, rows: list[int], keep: bool = False) -> Run:
        """Run the prompts of these rows."""
        groups = self._by_length(rows)
        runs: list[Run] = []
        for group in groups:
            with hooks.capture(self.lm, self.n_tail, self.site) as captured:
                last = self._run_prompts([rows[i] for i in group])
            z, residual = self._units(captured["z"]), self._stack(captured["residual"])
            runs.append(Run(last, z, residual, None))
        result = Run(
            _in_row_order(groups, [run.last for run in runs], 0),
            _in_row_order(groups, [run.z for run in runs], 1),
            _in_row_order(groups, [run.residual for run in runs], 1),
            None,
        )
        finite.require_run(self, rows, result)
        return result

    @torch.no_grad()
    def patched(
        self,
        rows: list[int],
        base: Run | None,
        z: Tensor,
        patches: np.ndarray,
        at: Tensor | None = None,
    ) -> Tensor:
        """Run the rows once per patch, with some units overwritten at the tail's positions."""
        del base  # only serves the shortcut
        groups = self._by_length(rows)
        last = torch.stack(
            [
                _in_row_order(
                    groups, [self._patched(rows, group, z, units, at) for group in groups], 0
                )
                for units in patches
            ]
        )
        finite.require_patched(self, rows, last, patches)
        return last

    def gradient(self, rows: list[int], base: Run, score: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the gradient of a score of the last logits with respect to every unit."""
        groups = self._by_length(rows)
        by_group: list[Tensor] = []
        for group in groups:
            with hooks.watch(self.lm, self.site) as z:
                total = score(
                    unembed.logits(self.lm, self._run_prompts([rows[i] for i in group]))
                ).sum()
            gradients = torch.autograd.grad(total, z)
            by_group.append(self._units([self._padded(gradient) for gradient in gradients]))
        return _in_row_order(groups, by_group, 1)

    def tail(self, rows: list[int], middle: Piece | None, n_patches: int = 1) -> Tensor:
        """Run full prompts of one length, each `n_patches` times."""
        del middle  # only serves the shortcut
        return self._run_prompts([row for row in rows for _ in range(n_patches)])

    def _patched(
        self,
        rows: list[int],
        group: list[int],
        z: Tensor,
        units: np.ndarray,
        at: Tensor | None,
    ) -> Tensor:
        """Run a group of rows with one patch; return (n_prompts, d_model) at the last position."""
        n = min(self.n_tail, len(self.token_ids[rows[group[0]]]))
        at = None if at is None else at[group, -n:]
        with ExitStack() as stack:
            for layer in map(int, np.flatnonzero(units.any(axis=1))):
                new = (z[layer, group, -n:], torch.as_tensor(units[None, layer]), at)
                stack.enter_context(hooks.write(self.lm, layer, *new, self.site))
            return self._run_prompts([rows[i] for i in group])

    def _padded(self, x: Tensor) -> Tensor:
        """Cut or pad rows of one length to the tail: (n_prompts, n_tail, width)."""
        tail = x[:, -self.n_tail :]
        return pad(tail, (0, 0, self.n_tail - tail.shape[1], 0))

    def _by_length(self, rows: list[int]) -> list[list[int]]:
        """Group the indices into `rows` by prompt length, as plain forwards use no padding."""
        lengths = [len(self.token_ids[row]) for row in rows]
        return [[i for i, n in enumerate(lengths) if n == length] for length in set(lengths)]

    def _run_prompts(self, rows: list[int]) -> Tensor:
        """Run full prompts of one length; return (n_prompts, d_model) at the last position."""
        ids = torch.tensor([self.token_ids[row] for row in rows], device=self.lm.device)
        return self.lm.decoder(input_ids=ids, use_cache=False).last_hidden_state[:, -1]


def _in_row_order(groups: list[list[int]], parts: list[Tensor], dim: int) -> Tensor:
    """Concatenate the results of groups in the order of the rows."""
    order = torch.tensor([i for group in groups for i in group]).argsort()
    return torch.cat(parts, dim).index_select(dim, order.to(parts[0].device))
