"""Whole tables of prompts: activations of one persona, readouts of patched runs.

Batches are shared among the processes that a launcher started; every process gets every result.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stages.lib.forward import batches, budget, filled, unembed
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts, Run, require_tokens
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, log_probabilities


@dataclass(frozen=True)
class Readouts:
    """P(true) and P(false) of unpatched and patched runs, float32.

    Attributes
    ----------
    base, source : ndarray of shape (n_prompts, 2)
        The run that is written into and the run that gives z, neither of them patched.
    patched : ndarray of shape (n_patches, n_prompts, 2)
        The patched runs.
    """

    base: np.ndarray
    source: np.ndarray
    patched: np.ndarray


def capture(
    lm: LanguageModel,
    answers: Answers,
    token_ids: list[list[int]],
    positions: list[int],
    n_rows: int,
    title: str,
    site: Site = Z,
    prefix: list[int] | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Activations and readouts of one persona's prompts, so many at a time as memory should hold.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    token_ids : list of list of int
        One prompt a row.
    positions : list of int
        Negative, from the end of the prompt.
    n_rows : int
        Prompts that are captured before they are given out.
    title : str
        Shown beside the progress bar.
    site : Site
        Where in each layer.
    prefix : list of int or None
        What prompts of this wording start with; None takes what these prompts start with.

    Yields
    ------
    dict of str to ndarray, float32
        Of the next `n_rows` prompts, in order: ``z`` of shape (n_prompts, n_positions, n_layers,
        n_units, width), what is at the site; ``resid_post`` of shape (n_prompts, n_positions,
        n_layers + 1, d_model) with the embedding first; ``readout`` of shape (n_prompts, 2) with
        P(true) and P(false).
    """
    n_tail = -min(positions)
    require_tokens("activations.positions", n_tail, token_ids)
    exact = all(batches.gather([shortcut_is_exact(lm, token_ids, n_tail, site)]))
    prompts = (Prompts if exact else PlainPrompts)(lm, token_ids, n_tail, site, prefix)
    columns = [n_tail + position for position in positions]
    at_once = batches.prompts_at_once(prompts)
    with batches.progress(title, len(token_ids)) as bar:
        for start in range(0, len(token_ids), n_rows):
            chunk = range(start, min(start + n_rows, len(token_ids)))
            results: list[batches.Rows] = []
            lasts: list[tuple[dict[str, np.ndarray], Tensor]] = []
            for _, rows in batches.share(batches.of_like_length(token_ids, chunk, at_once)):
                run = prompts.run(rows)
                z = run.z[:, :, columns].permute(1, 2, 0, 3, 4)
                residual = run.residual[:, :, columns].permute(1, 2, 0, 3)
                numbers = {"z": batches.numbers(z), "resid_post": batches.numbers(residual)}
                results.append(([row - start for row in rows], numbers))
                lasts.append((numbers, run.last))
                bar.update(len(rows))
            for numbers, read in unembed.readouts(lm, answers, lasts):
                numbers["readout"] = read
            yield batches.assemble(batches.gather(results), len(chunk))


class Patcher:
    """Base and source prompts of the same statements, to be patched in many ways.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    base, source : list of list of int
        Token ids of the run that is written into and of the run that gives z, same statements in
        the same order.
    n_positions : int
        How many of the last positions are written.
    keep : bool
        Keep the base and source runs between calls. Faster for many calls, at about 10 MB a
        statement for a small model and 100 MB for a large one.
    key : str
        Of params.yaml, which says how many positions; for a message.
    site : Site
        Where in each layer the source run is read and the base run is written.
    prefixes : pair of list of int or None
        What prompts of the base's and of the source's wording start with; None takes what these
        prompts start with.

    Raises
    ------
    UserError
        If a prompt has fewer than `n_positions` tokens.

    References
    ----------
    arXiv:2311.15131: z of all heads of consecutive layers, at the last 25 positions.
    """

    def __init__(
        self,
        lm: LanguageModel,
        answers: Answers,
        base: list[list[int]],
        source: list[list[int]],
        n_positions: int,
        keep: bool = False,
        key: str = "patch.positions",
        site: Site = Z,
        prefixes: tuple[list[int] | None, list[int] | None] = (None, None),
    ) -> None:
        self.lm, self.answers, self.keep, self.site = lm, answers, keep, site
        self._base_ids, self._batches = base, []
        if base:
            require_tokens(key, n_positions, [*base, *source])
            exact = [shortcut_is_exact(lm, ids, n_positions, site) for ids in (base, source)]
            kind = Prompts if all(batches.gather(exact)) else PlainPrompts
            self.base, self.source = (
                kind(lm, ids, n_positions, site, prefix)
                for ids, prefix in zip((base, source), prefixes, strict=True)
            )
            at_once = min(batches.prompts_at_once(prompts) for prompts in (self.base, self.source))
            cut = batches.of_like_length(base, range(len(base)), at_once, filled.multiple(lm))
            self._batches = [filled.prompts(lm, rows, n_positions) for rows in cut]
        self._kept: dict[int, tuple[Run, Run]] = {}

    def __call__(
        self,
        patches: np.ndarray,
        title: str,
        z: Tensor | None = None,
        at: np.ndarray | None = None,
    ) -> Readouts:
        """Read the answers of patched runs, and of the two runs that they are made from.

        Parameters
        ----------
        patches : ndarray of shape (n_patches, n_layers, n_units), bool
            Units that each patch overwrites; a patch of none is the base run.
        title : str
            Shown beside the progress bar.
        z : Tensor of shape (n_layers, n_prompts, n_positions, n_units, width), or None
            What to write instead of the source run's.
        at : ndarray of shape (n_prompts, n_positions), bool, or None
            At which of the last positions to write; None writes at all of them.

        Returns
        -------
        Readouts
            Of the base, source and patched runs.
        """
        results: list[tuple[list[int], np.ndarray]] = []
        n_runs = len(self._base_ids) * len(patches)
        with batches.progress(title, n_runs) as bar:
            for i, rows in batches.share(self._batches):
                base, source = self._runs(i, rows)
                given = source.z if z is None else z[:, rows].to(base.z)
                places = None if at is None else torch.as_tensor(at[rows])
                runs = self._patched(rows, base, source, given, patches, places, bar)
                values = np.empty((2 + len(patches), len(rows), 2), np.float32)
                for some, read in unembed.readouts(self.lm, self.answers, runs):
                    values[some] = read.reshape(-1, len(rows), 2)
                values[2:][~patches.any(axis=(1, 2))] = values[0]
                results.append((rows, values))
        out = np.empty((2 + len(patches), len(self._base_ids), 2), np.float32)
        for rows, values in batches.gather(results):
            out[:, rows] = values
        return Readouts(out[0], out[1], out[2:])

    def z(self, title: str) -> tuple[Tensor, Tensor]:
        """Give what the base and the source run have at the site, at the last positions.

        Parameters
        ----------
        title : str
            Shown beside the progress bar.

        Returns
        -------
        pair of Tensor of shape (n_layers, n_prompts, n_positions, n_units, width), float32
            z, unless the site is another one. On the CPU: 25 positions take 2 MB a statement for a
            small model, 66 MB for a large one.
        """
        results: list[batches.Rows] = []
        with batches.progress(title, len(self._base_ids)) as bar:
            for i, rows in batches.share(self._batches):
                both = {
                    name: batches.numbers(run.z.transpose(0, 1))
                    for name, run in zip(("base", "source"), self._runs(i, rows), strict=True)
                }
                results.append((rows, both))
                bar.update(len(rows))
        arrays = batches.assemble(batches.gather(results), len(self._base_ids))
        base, source = (torch.as_tensor(arrays[name]).transpose(0, 1) for name in arrays)
        return base, source

    def attribution(self, title: str) -> np.ndarray:
        """Estimate what each unit's patch does to log P(true) - log P(false), all units at once.

        Parameters
        ----------
        title : str
            Shown beside the progress bar.

        Returns
        -------
        ndarray of shape (n_prompts, n_layers, n_units), float32
            (z of the source - z of the base) times the gradient in the base run, summed over the
            patched positions: two forwards and a backward a statement, exact only where the answer
            is linear in z.

        References
        ----------
        N. Nanda, Attribution patching (2023); A. Syed, C. Rager, A. Conmy, arXiv:2310.10348.
        """

        def score(logits: Tensor) -> Tensor:
            both = log_probabilities(logits, self.answers)
            return both[:, 0] - both[:, 1]

        results: list[batches.Rows] = []
        with batches.progress(title, len(self._base_ids)) as bar:
            for _, batch in batches.share(self._batches):
                at_once = budget.graphs_at_once(self.lm, self.base.n_graph, self.base.longest)
                for rows in batches.parts(batch, at_once):
                    base, source = self.base.run(rows, keep=True), self.source.run(rows)
                    gradient = self.base.gradient(rows, base, score)
                    effect = ((source.z - base.z) * gradient).float().sum(dim=(2, 4))
                    results.append((rows, {"effect": batches.numbers(effect.transpose(0, 1))}))
                    bar.update(len(rows))
        if not self._base_ids:
            return np.empty((0, self.lm.n_layers, self.site.shape(self.lm)[0]), np.float32)
        return batches.assemble(batches.gather(results), len(self._base_ids))["effect"]

    def _patched(
        self,
        rows: list[int],
        base: Run,
        source: Run,
        z: Tensor,
        patches: np.ndarray,
        at: Tensor | None,
        bar: "tqdm[Any]",
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Base, source and patched runs of one batch, numbered in this order, stack by stack."""
        yield np.array([0]), base.last
        yield np.array([1]), source.last
        for some in self._stacks(patches, len(rows)):
            yield 2 + some, self.base.patched(rows, base, z, patches[some], at).flatten(0, 1)
            bar.update(len(rows) * len(some))

    def _stacks(self, patches: np.ndarray, n_prompts: int) -> Iterator[np.ndarray]:
        """Numbers of the patches that are run at once: they have their first layer in common."""
        base = self.base
        at_once = budget.patches_at_once(self.lm, n_prompts, base.n_tail, base.longest)
        written = patches.max(axis=2)
        first = np.where(written.max(axis=1), written.argmax(axis=1), -1)
        for layer in range(self.lm.n_layers):
            same = np.flatnonzero(first == layer)
            yield from (same[i : i + at_once] for i in range(0, len(same), at_once))

    def _runs(self, batch: int, rows: list[int]) -> tuple[Run, Run]:
        """Base and source run of one batch."""
        if batch in self._kept:
            return self._kept[batch]
        source = self.source.run(rows)
        source = replace(source, residual=source.residual.new_empty(0))  # which nothing reads
        runs = self.base.run(rows, keep=True), source
        if self.keep:
            self._kept[batch] = runs
        return runs
