"""Patched runs: units of a source run, patched into the base run of the same statement.

Batches are divided among the processes that a launcher started; every process gets every result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stages.lib.forward import batches, budget, stem, unembed, written
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.memory import BASE, PATCHED, READ, Memory
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts, Run, require_tokens
from stages.lib.forward.site import Site, Z
from stages.lib.forward.written import Replacement
from stages.lib.io import store
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, toward_true

UNPATCHED = 2  # number of unpatched runs, which come first: base and source
AT_ONCE = 512  # number of prompts whose runs are named and recalled at once


@dataclass(frozen=True)
class Readouts:
    """P(true) and P(false) of unpatched and patched runs, float32.

    Attributes
    ----------
    base, source : ndarray of shape (n_prompts, 2)
        The unpatched base run, and the unpatched source run.
    patched : ndarray of shape (n_patches, n_prompts, 2)
        The patched runs.
    """

    base: np.ndarray
    source: np.ndarray
    patched: np.ndarray


class Patcher:
    """Base and source prompts of the same statements, to be patched in many ways.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    base, source : list of list of int
        Token ids of the base run, which is patched, and of the source run, whose z is patched in:
        the same statements in the same order.
    n_positions : int
        Number of last positions that are patched.
    keep : bool
        Keep base and source runs between calls, up to half of the memory budget. Faster for many
        calls, at about 6 MB per statement for a small model and 100 MB for a large one.
    key : str or None
        Key of params.yaml that sets the number of positions, for error messages. None lets prompts
        have fewer tokens than positions.
    site : Site
        Tensor of each layer that is read in the source run and patched in the base run.
    prefixes : pair of list of int or None
        Tokens that prompts of the base's and of the source's wording start with; None takes the
        common prefix of these prompts.

    Raises
    ------
    UserError
        If a prompt has fewer than `n_positions` tokens, unless `key` is None.

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
        key: str | None = "patch.positions",
        site: Site = Z,
        prefixes: tuple[list[int] | None, list[int] | None] = (None, None),
    ) -> None:
        self.lm, self.answers, self.keep, self.site = lm, answers, keep, site
        self._memory, self._base_ids = Memory(lm, answers), base
        self._names: tuple[list[bytes], list[bytes]] = [], []
        if base:
            if key is not None:
                require_tokens(key, n_positions, [*base, *source])
            both = [*zip((base, source), prefixes, strict=True)]
            exact = [shortcut_is_exact(lm, ids, n_positions, site, own) for ids, own in both]
            kind = Prompts if all(batches.gather(exact)) else PlainPrompts
            self.base, self.source = (kind(lm, ids, n_positions, site, own) for ids, own in both)
            self._names = self._memory.prompts(self.base), self._memory.prompts(self.source)
        self._kept_runs: dict[tuple[int, ...], tuple[Run, Run]] = {}

    def __call__(
        self,
        patches: np.ndarray,
        title: str,
        z: Replacement = None,
        at: np.ndarray | None = None,
    ) -> Readouts:
        """Return the answers of patched runs, and of their base and source runs.

        Parameters
        ----------
        patches : ndarray of shape (n_patches, n_layers, n_units), bool
            Units that each patch overwrites; an empty patch is the base run.
        title : str
            Shown beside the progress bar.
        z : Tensor of shape (n_layers, n_prompts, n_positions, n_units, width), Change, or None
            What is patched in; None is the source run's z. See `written`.
        at : ndarray of shape (n_prompts, n_positions), bool, or None
            Which of the last positions are patched; None patches all of them.

        Returns
        -------
        Readouts
            P(true) and P(false) of the base, source and patched runs.
        """
        distinct, run_of_patch = _distinct(patches)
        n_prompts = len(self._base_ids)
        values = np.empty((n_prompts, UNPATCHED + len(distinct), READ), np.float32)
        with batches.progress(title, values[..., 0].size) as bar:
            for prompts in batches.parts(range(n_prompts), AT_ONCE):
                values[prompts] = self._answers(prompts, distinct, z, at, bar)
        p = unembed.probabilities(values).swapaxes(0, 1)
        return Readouts(p[0], p[1], p[run_of_patch])

    def z(self, title: str) -> tuple[Tensor, Tensor]:
        """Return the activations of the base and source runs at the site, at the last positions.

        Parameters
        ----------
        title : str
            Shown beside the progress bar.

        Returns
        -------
        pair of Tensor of shape (n_layers, n_prompts, n_positions, n_units, width), float32
            Tensors of the site, on the CPU: 25 positions of z take 2 MB per statement for a small
            model, 66 MB for a large one.
        """
        results: list[batches.Rows] = []
        with batches.progress(title, len(self._base_ids)) as bar:
            shared = batches.share(self._batches(range(len(self._base_ids))))
            for rows, z_by_run in batches.map_batches(self.base, shared, self._z):
                results.append((rows, z_by_run))
                bar.update(len(set(rows)))
        arrays = batches.assemble(batches.gather(results), len(self._base_ids))
        base, source = (torch.as_tensor(arrays[name]).transpose(0, 1) for name in arrays)
        return base, source

    def attribution(
        self, title: str, z: Replacement = None, at: np.ndarray | None = None
    ) -> np.ndarray:
        """Estimate the effect of each unit's patch on log P(true) - log P(false), all at once.

        Parameters
        ----------
        title : str
            Shown beside the progress bar.
        z, at
            What is patched in and at which positions, as in a call.

        Returns
        -------
        ndarray of shape (n_prompts, n_layers, n_units), float32
            (z of the source - z of the base) times the gradient in the base run, summed over the
            patched positions. It takes two forwards and a backward per statement, and is exact only
            where the log-odds are linear in z.

        References
        ----------
        N. Nanda, Attribution patching (2023); A. Syed, C. Rager, A. Conmy, arXiv:2310.10348.
        """
        if not self._base_ids:
            return np.empty((0, self.lm.n_layers, self.site.shape(self.lm)[0]), np.float32)
        own = isinstance(z, Tensor)  # then the source run is not needed

        def estimate(rows: list[int]) -> dict[str, np.ndarray]:
            base = self.base.run(rows, keep=True)
            replacement = written.units(z, rows, base.z if own else self.source.run(rows).z)
            gradient = self.base.gradient(rows, base, lambda x: toward_true(x, self.answers))
            moved = replacement - base.z
            if at is not None:
                moved = moved * torch.as_tensor(at[rows])[..., None, None].to(moved)
            effect = (moved * gradient).float().sum(dim=(2, 4))
            return {"effect": batches.numbers(effect.transpose(0, 1))}

        results: list[batches.Rows] = []
        all_rows = range(len(self._base_ids))
        with batches.progress(title, len(all_rows)) as bar:
            shared = batches.share(self._batches(all_rows, graph=True))
            for rows, effect in batches.map_batches(self.base, shared, estimate):
                results.append((rows, effect))
                bar.update(len(set(rows)))
        return batches.assemble(batches.gather(results), len(self._base_ids))["effect"]

    def _answers(
        self,
        prompts: list[int],
        patches: np.ndarray,
        z: Replacement,
        at: np.ndarray | None,
        bar: "tqdm[Any]",
    ) -> np.ndarray:
        """Recall or compute the runs of some prompts: (n_prompts, n_runs, 3), as in `Memory`."""
        packed = [np.packbits(patch).tobytes() for patch in patches]
        keys = {row: self._keys(row, packed, z, at) for row in prompts}
        values = self._memory.recall(list(keys.values()))
        unknown = np.isnan(values[..., 0])
        bar.update(int((~unknown).sum()))
        todo = [
            (rows, runs)
            for indices, runs in _group_by_missing_runs(unknown)
            for rows in self._batches([prompts[i] for i in indices])
        ]

        def read(rows: list[int], runs: np.ndarray) -> np.ndarray:
            base, source = self._runs(rows)
            replacement = written.units(z, rows, source.z)
            positions = None if at is None else torch.as_tensor(at[rows])
            outputs = self._run_stacks(rows, runs, base, source, replacement, patches, positions)
            new = np.empty((values.shape[1], len(rows), READ), np.float32)
            count_before = bar.n
            try:
                for indices, numbers in unembed.readouts(self.lm, self.answers, outputs):
                    new[indices] = numbers.reshape(-1, len(rows), READ)
                    self._memory.keep([keys[row][run] for run in indices for row in rows], numbers)
                    bar.update(len(set(rows)) * len(indices))
            except (MemoryError, RuntimeError):
                bar.n = count_before  # the halves of the batch are counted again
                raise
            return new[runs].swapaxes(0, 1)

        results: list[tuple[list[int], np.ndarray, np.ndarray]] = []
        for batch, runs in batches.share(todo):
            for rows, own in batches.map_batches(self.base, [batch], partial(read, runs=runs)):
                results.append((rows, runs, own))
        place = {row: i for i, row in enumerate(prompts)}
        for rows, runs, own in batches.gather(results):
            values[np.ix_([place[row] for row in rows], runs)] = own
        return values

    def _keys(
        self, row: int, patches: list[bytes], z: Replacement, at: np.ndarray | None
    ) -> list[bytes]:
        """Return the names of the base, source and patched runs of a prompt."""
        base, source = (names[row] for names in self._names)
        replacement = written.name(z, row, source)
        where = b"" if at is None else at[row].tobytes()
        patched_keys = (store.digest(PATCHED, base, replacement, where, patch) for patch in patches)
        return [store.digest(BASE, base), source, *patched_keys]

    def _batches(self, rows: Sequence[int], graph: bool = False) -> list[list[int]]:
        """Split prompts into batches for which base and source runs, or a base run's graph, fit."""
        if not rows:
            return []
        at_once = min(batches.prompts_at_once(prompts) for prompts in (self.base, self.source))
        if graph:
            fit = budget.graphs_at_once(self.lm, self.base.n_graph, self.base.longest)
            at_once = min(at_once, *batches.gather([fit]))
        return batches.of_like_length(self.base, rows, at_once, patched=True)

    def _run_stacks(
        self,
        rows: list[int],
        runs: np.ndarray,
        base: Run,
        source: Run,
        z: Tensor,
        patches: np.ndarray,
        at: Tensor | None,
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Yield the numbers and outputs of the given runs, one stack of patched runs at a time."""
        for run, outputs in enumerate((base, source)):
            if run in runs:
                yield [run], outputs.last
        patch_ids = runs[runs >= UNPATCHED] - UNPATCHED
        for indices in self._stacks(patches[patch_ids], rows, z, at):
            last = self.base.patched(rows, base, z, patches[patch_ids[indices]], at)
            yield (UNPATCHED + patch_ids[indices]).tolist(), last.flatten(0, 1)

    def _stacks(
        self, patches: np.ndarray, rows: list[int], z: Tensor, at: Tensor | None
    ) -> Iterator[np.ndarray]:
        """Yield the numbers of patches that run at once: those whose first layers are next."""
        base = self.base
        n_stems = stem.count(base, rows, z, patches, at) / len(rows)  # per prompt
        at_once = budget.patches_at_once(
            self.lm, len(rows), base.width(rows), base.longest, n_stems * len(base.prefix)
        )
        order = np.argsort(written.first_layers(patches), kind="stable")
        yield from (order[i : i + at_once] for i in range(0, len(order), at_once))

    def _z(self, rows: list[int]) -> dict[str, np.ndarray]:
        """Return z of the base and source runs of one batch, (n_prompts, n_layers, …)."""
        runs = zip(("base", "source"), self._runs(rows), strict=True)
        return {name: batches.numbers(run.z.transpose(0, 1)) for name, run in runs}

    def _runs(self, rows: list[int]) -> tuple[Run, Run]:
        """Return the base and source runs of one batch."""
        if (known := self._kept_runs.get(tuple(rows))) is not None:
            return known
        source = self.source.run(rows)
        source = replace(source, residual=source.residual.new_empty(0))  # never read
        runs = self.base.run(rows, keep=True), source
        size = sum(run.n_bytes for run in runs)
        if self.keep and size <= self._room:
            self._room -= size
            self._kept_runs[tuple(rows)] = runs
        return runs

    @cached_property
    def _room(self) -> float:
        """Return the bytes that are left for keeping runs between calls."""
        return budget.memory(self.lm) / 2


def _distinct(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Drop empty and repeated patches.

    Returns the distinct patches, and the number of each patch's run: 0 is the base run, 1 the
    source run, and distinct patches are numbered from 2.
    """
    names = [patch.tobytes() for patch in patches]
    written = {name: i for i, name in reversed([*enumerate(names)]) if patches[i].any()}
    chosen = sorted(written.values())
    numbers = {names[i]: UNPATCHED + number for number, i in enumerate(chosen)}
    return patches[chosen], np.array([numbers.get(name, 0) for name in names], int)


def _group_by_missing_runs(unknown: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Group prompts by their unknown runs, (n_prompts, n_runs), bool: pairs of prompts and runs."""
    groups: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(unknown.any(axis=1)).tolist():
        groups.setdefault(unknown[row].tobytes(), []).append(row)
    return [(rows, np.flatnonzero(unknown[rows[0]])) for rows in groups.values()]
