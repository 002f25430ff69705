"""Patched runs: units of a source run, patched into the base run of the same statement.

Batches are shared among the processes that a launcher started; every process gets every result.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from stages.lib.forward import batches, budget, unembed, written
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.memory import BASE, PATCHED, READ, Memory
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts, Run, require_tokens
from stages.lib.forward.site import Site, Z
from stages.lib.forward.written import Written
from stages.lib.io import store
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers, toward_true

UNPATCHED = 2  # runs that are not patched, which come first: base and source
AT_ONCE = 512  # prompts whose runs are named and recalled at once


@dataclass(frozen=True)
class Readouts:
    """P(true) and P(false) of unpatched and patched runs, float32.

    Attributes
    ----------
    base, source : ndarray of shape (n_prompts, 2)
        The run that is patched in `patched` and the run that gives z; both unpatched here.
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
        Token ids of the run that is patched and of the run that gives z: the same statements, in
        the same order.
    n_positions : int
        How many of the last positions are patched.
    keep : bool
        Keep the base and source runs between calls, as many as half of the memory budget holds.
        Faster for many calls, at about 6 MB a statement for a small model and 100 MB for a large
        one.
    key : str
        Of params.yaml that gives the number of positions, for a message.
    site : Site
        Where in each layer the source run is read and the base run is patched.
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
        self._memory, self._base_ids = Memory(lm, answers), base
        self._names: tuple[list[bytes], list[bytes]] = [], []
        if base:
            require_tokens(key, n_positions, [*base, *source])
            exact = [shortcut_is_exact(lm, ids, n_positions, site) for ids in (base, source)]
            kind = Prompts if all(batches.gather(exact)) else PlainPrompts
            self.base, self.source = (
                kind(lm, ids, n_positions, site, prefix)
                for ids, prefix in zip((base, source), prefixes, strict=True)
            )
            self._names = self._memory.prompts(self.base), self._memory.prompts(self.source)
        self._kept: dict[tuple[int, ...], tuple[Run, Run]] = {}

    def __call__(
        self,
        patches: np.ndarray,
        title: str,
        z: Written = None,
        at: np.ndarray | None = None,
    ) -> Readouts:
        """Read the answers of patched runs, and of the two runs that they are made from.

        Parameters
        ----------
        patches : ndarray of shape (n_patches, n_layers, n_units), bool
            Units that each patch overwrites; an empty patch is the base run.
        title : str
            Shown beside the progress bar.
        z : Tensor of shape (n_layers, n_prompts, n_positions, n_units, width), Change, or None
            What to write instead of the source run's; see `written`.
        at : ndarray of shape (n_prompts, n_positions), bool, or None
            At which of the last positions to patch; None patches all of them.

        Returns
        -------
        Readouts
            Of the base, source and patched runs.
        """
        distinct, which = _distinct(patches)
        n_prompts = len(self._base_ids)
        values = np.empty((n_prompts, UNPATCHED + len(distinct), READ), np.float32)
        with batches.progress(title, values[..., 0].size) as bar:
            for prompts in batches.parts(range(n_prompts), AT_ONCE):
                values[prompts] = self._answers(prompts, distinct, z, at, bar)
        p = unembed.probabilities(values).swapaxes(0, 1)
        return Readouts(p[0], p[1], p[which])

    def z(self, title: str) -> tuple[Tensor, Tensor]:
        """Activations of the base and of the source run at the site, at the last positions.

        Parameters
        ----------
        title : str
            Shown beside the progress bar.

        Returns
        -------
        pair of Tensor of shape (n_layers, n_prompts, n_positions, n_units, width), float32
            z, unless the site is another one. On the CPU: 25 positions take 2 MB per statement for
            a small model, 66 MB for a large one.
        """
        results: list[batches.Rows] = []
        with batches.progress(title, len(self._base_ids)) as bar:
            shared = batches.share(self._batches(range(len(self._base_ids))))
            for rows, both in batches.each(self.base, shared, self._z):
                results.append((rows, both))
                bar.update(len(set(rows)))
        arrays = batches.assemble(batches.gather(results), len(self._base_ids))
        base, source = (torch.as_tensor(arrays[name]).transpose(0, 1) for name in arrays)
        return base, source

    def attribution(
        self, title: str, z: Written = None, at: np.ndarray | None = None
    ) -> np.ndarray:
        """Estimate what each unit's patch does to log P(true) - log P(false), all units at once.

        Parameters
        ----------
        title : str
            Shown beside the progress bar.
        z, at
            What is patched in, and where, as in a call.

        Returns
        -------
        ndarray of shape (n_prompts, n_layers, n_units), float32
            (z of the source - z of the base) times the gradient in the base run, summed over the
            patched positions: two forwards and a backward per statement, exact only where the
            answer is linear in z.

        References
        ----------
        N. Nanda, Attribution patching (2023); A. Syed, C. Rager, A. Conmy, arXiv:2310.10348.
        """
        if not self._base_ids:
            return np.empty((0, self.lm.n_layers, self.site.shape(self.lm)[0]), np.float32)
        own = isinstance(z, Tensor)  # then the source is not run

        def estimate(rows: list[int]) -> dict[str, np.ndarray]:
            base = self.base.run(rows, keep=True)
            given = written.units(z, rows, base.z if own else self.source.run(rows).z)
            gradient = self.base.gradient(rows, base, lambda x: toward_true(x, self.answers))
            moved = given - base.z
            if at is not None:
                moved = moved * torch.as_tensor(at[rows])[..., None, None].to(moved)
            effect = (moved * gradient).float().sum(dim=(2, 4))
            return {"effect": batches.numbers(effect.transpose(0, 1))}

        results: list[batches.Rows] = []
        every = range(len(self._base_ids))
        with batches.progress(title, len(every)) as bar:
            shared = batches.share(self._batches(every, graph=True))
            for rows, effect in batches.each(self.base, shared, estimate):
                results.append((rows, effect))
                bar.update(len(set(rows)))
        return batches.assemble(batches.gather(results), len(self._base_ids))["effect"]

    def _answers(
        self,
        prompts: list[int],
        patches: np.ndarray,
        z: Written,
        at: np.ndarray | None,
        bar: "tqdm[Any]",
    ) -> np.ndarray:
        """Recall or make base, source and patched runs of some prompts: (n_prompts, n_runs, 3)."""
        packed = [np.packbits(patch).tobytes() for patch in patches]
        keys = {row: self._keys(row, packed, z, at) for row in prompts}
        values = self._memory.recall(list(keys.values()))
        unknown = np.isnan(values[..., 0])
        bar.update(int((~unknown).sum()))
        todo = [
            (rows, runs)
            for some, runs in _missing(unknown)
            for rows in self._batches([prompts[i] for i in some])
        ]

        def read(rows: list[int], runs: np.ndarray) -> np.ndarray:
            base, source = self._runs(rows)
            given = written.units(z, rows, source.z)
            places = None if at is None else torch.as_tensor(at[rows])
            made = self._made(rows, runs, base, source, given, patches, places)
            new = np.empty((values.shape[1], len(rows), READ), np.float32)
            before = bar.n
            try:
                for some, numbers in unembed.readouts(self.lm, self.answers, made):
                    new[some] = numbers.reshape(-1, len(rows), READ)
                    self._memory.keep([keys[row][run] for run in some for row in rows], numbers)
                    bar.update(len(set(rows)) * len(some))
            except (MemoryError, RuntimeError):
                bar.n = before  # its halves are counted anew
                raise
            return new[runs].swapaxes(0, 1)

        results: list[tuple[list[int], np.ndarray, np.ndarray]] = []
        for whole, runs in batches.share(todo):
            for rows, own in batches.each(self.base, [whole], partial(read, runs=runs)):
                results.append((rows, runs, own))
        place = {row: i for i, row in enumerate(prompts)}
        for rows, runs, own in batches.gather(results):
            values[np.ix_([place[row] for row in rows], runs)] = own
        return values

    def _keys(
        self, row: int, patches: list[bytes], z: Written, at: np.ndarray | None
    ) -> list[bytes]:
        """Name the base, the source and the patched runs of a prompt."""
        base, source = (names[row] for names in self._names)
        given = written.name(z, row, source)
        where = b"" if at is None else at[row].tobytes()
        named = (store.digest(PATCHED, base, given, where, patch) for patch in patches)
        return [store.digest(BASE, base), source, *named]

    def _batches(self, rows: Sequence[int], graph: bool = False) -> list[list[int]]:
        """Cut some prompts into batches that base and source run fit, or the base run's graph."""
        if not rows:
            return []
        at_once = min(batches.prompts_at_once(prompts) for prompts in (self.base, self.source))
        if graph:
            fit = budget.graphs_at_once(self.lm, self.base.n_graph, self.base.longest)
            at_once = min(at_once, *batches.gather([fit]))
        return batches.of_like_length(self.base, rows, at_once, patched=True)

    def _made(
        self,
        rows: list[int],
        runs: np.ndarray,
        base: Run,
        source: Run,
        z: Tensor,
        patches: np.ndarray,
        at: Tensor | None,
    ) -> Iterator[tuple[list[int], Tensor]]:
        """Run the wanted base, source and patched runs, by these numbers, stack by stack."""
        for run, made in enumerate((base, source)):
            if run in runs:
                yield [run], made.last
        wanted = runs[runs >= UNPATCHED] - UNPATCHED
        for some in self._stacks(patches[wanted], len(rows)):
            last = self.base.patched(rows, base, z, patches[wanted[some]], at)
            yield (UNPATCHED + wanted[some]).tolist(), last.flatten(0, 1)

    def _stacks(self, patches: np.ndarray, n_prompts: int) -> Iterator[np.ndarray]:
        """Numbers of the patches that are run at once: they have their first layer in common."""
        base = self.base
        at_once = budget.patches_at_once(self.lm, n_prompts, base.n_tail, base.longest)
        first = patches.any(axis=2).argmax(axis=1)
        for layer in np.unique(first):
            same = np.flatnonzero(first == layer)
            yield from (same[i : i + at_once] for i in range(0, len(same), at_once))

    def _z(self, rows: list[int]) -> dict[str, np.ndarray]:
        """Z of base and source run of one batch, (n_prompts, n_layers, …)."""
        runs = zip(("base", "source"), self._runs(rows), strict=True)
        return {name: batches.numbers(run.z.transpose(0, 1)) for name, run in runs}

    def _runs(self, rows: list[int]) -> tuple[Run, Run]:
        """Base and source run of one batch."""
        if (known := self._kept.get(tuple(rows))) is not None:
            return known
        source = self.source.run(rows)
        source = replace(source, residual=source.residual.new_empty(0))  # which nothing reads
        runs = self.base.run(rows, keep=True), source
        size = sum(run.n_bytes for run in runs)
        if self.keep and size <= self._room:
            self._room -= size
            self._kept[tuple(rows)] = runs
        return runs

    @cached_property
    def _room(self) -> float:
        """Bytes that runs may still take between calls."""
        return budget.memory(self.lm) / 2


def _distinct(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Leave out empty patches and repeated ones.

    Returns the distinct patches, and the number of each patch's run: 0 is the base run, 1 the
    source run, and distinct patches are numbered from 2.
    """
    names = [patch.tobytes() for patch in patches]
    written = {name: i for i, name in reversed([*enumerate(names)]) if patches[i].any()}
    chosen = sorted(written.values())
    numbers = {names[i]: UNPATCHED + number for number, i in enumerate(chosen)}
    return patches[chosen], np.array([numbers.get(name, 0) for name in names], int)


def _missing(unknown: np.ndarray) -> list[tuple[list[int], np.ndarray]]:
    """Group prompts that lack the same runs, (n_prompts, n_runs), bool: prompts, and runs."""
    groups: dict[bytes, list[int]] = {}
    for row in np.flatnonzero(unknown.any(axis=1)).tolist():
        groups.setdefault(unknown[row].tobytes(), []).append(row)
    return [(rows, np.flatnonzero(unknown[rows[0]])) for rows in groups.values()]
