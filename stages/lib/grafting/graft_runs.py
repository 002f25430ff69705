"""Answers of the liar's prompts with grafted weights."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from stages.lib.forward import batches, hooks, unembed
from stages.lib.forward.memory import READ, Memory
from stages.lib.forward.prompts import Prompts
from stages.lib.grafting import units, weights
from stages.lib.grafting.units import Changes, Unit
from stages.lib.io import store
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers


class Graft(NamedTuple):
    """A unit, and whether it is taken out or left alone."""

    run: str
    unit: Unit


class Grafts:
    """Prompts to be answered with grafted weights.

    Parameters
    ----------
    lm : LanguageModel
        The liar.
    answers : Answers
        Tokens of the readout.
    token_ids : list of list of int
        One prompt a row, at least one.
    prefix : list of int or None
        What prompts of this wording start with.
    changes : dict of tuple of int and str to Tensor
        From `weights.changes`.
    adapter : str
        Hash of the adapter's weights; runs are remembered by it.
    """

    def __init__(
        self,
        lm: LanguageModel,
        answers: Answers,
        token_ids: list[list[int]],
        prefix: list[int] | None,
        changes: Changes,
        adapter: str,
    ) -> None:
        self.lm, self.answers, self.changes = lm, answers, changes
        self._token_ids, self._prefix, self._adapter = token_ids, prefix, adapter
        self._memory = Memory(lm, answers)
        prompts = self._prompts()
        self._names = self._memory.prompts(prompts)
        self._below = _Below(lm, min(layer for layer, _ in changes))
        cut = batches.of_like_length(
            prompts, range(len(token_ids)), batches.prompts_at_once(prompts)
        )
        self._cut = batches.share(cut)  # once: free memory changes, and `_Below` knows batches

    def __call__(self, grafts: list[Graft], title: str) -> np.ndarray:
        """Read the answers with each graft.

        Parameters
        ----------
        grafts : list of Graft
            What is grafted.
        title : str
            Shown beside the progress bar.

        Returns
        -------
        ndarray of shape (n_grafts, n_prompts, 2), float32
            P(true) and P(false).
        """
        n = len(self._token_ids)
        keys = [self._keys(graft) for graft in grafts]
        values = self._memory.recall(keys) if keys else np.empty((0, n, READ), np.float32)
        with batches.progress(title, len(grafts) * n) as bar:
            for number, graft in enumerate(grafts):
                if np.isnan(values[number]).any():
                    part = units.part(self.lm, self.changes, graft.unit)
                    with weights.grafted(self.lm, self.changes, part, graft.run):
                        values[number] = self._run(keys[number])
                bar.update(n)
        return unembed.probabilities(values)

    def _prompts(self) -> Prompts:
        """The prompts; anew for each graft, as what they start with is run with it too."""
        return Prompts(self.lm, self._token_ids, 1, prefix=self._prefix)

    def _run(self, keys: list[bytes]) -> np.ndarray:
        """Run all prompts with the weights as they are now: (n_prompts, 3)."""
        prompts, n = self._prompts(), len(self._token_ids)
        with self._below():
            runs = [(rows, prompts.run(rows).last) for rows in self._cut]
        results: list[batches.Rows] = []
        for rows, read in unembed.readouts(self.lm, self.answers, runs):
            self._memory.keep([keys[row] for row in rows], read)
            results.append((rows, {"read": read}))
        return batches.assemble(batches.gather(results), n)["read"]

    def _keys(self, graft: Graft) -> list[bytes]:
        """Name the runs of one graft."""
        what = f"{self._adapter} {graft.run} {graft.unit}".encode()
        return [store.digest(b"graft", what, name) for name in self._names]


class _Below:
    """Layers below the first changed one, which are run once: every graft enters the same there.

    Batches come in the same order with every graft. What all prompts start with is one short row;
    it is run anew, as the batches look its keys and values up layer by layer.
    """

    def __init__(self, lm: LanguageModel, first: int) -> None:
        self._layers, self._first = lm.layers[:first], lm.layers[first]
        self._entering: list[Tensor] = []

    @contextmanager
    def __call__(self) -> Generator[None]:
        """Run the layers below, or give what they gave before."""
        known = iter([*self._entering])

        def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            if kwargs["kept"].record:
                return args, kwargs
            if (x := next(known, None)) is None:
                self._entering.append(hooks.given(args, kwargs).clone())
                return args, kwargs
            return hooks.with_given(args, kwargs, x)

        with ExitStack() as stack:
            if self._entering:
                for layer in self._layers:
                    stack.enter_context(hooks.stand_in(layer, _of_prefix(layer.forward)))
            hook = self._first.register_forward_pre_hook(enter, with_kwargs=True)
            stack.callback(hook.remove)
            yield


def _of_prefix(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Run a layer on what all prompts start with, and skip it on their own tokens."""

    def run(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        if kwargs["kept"].record:
            return forward(hidden_states, *args, **kwargs)
        return hidden_states

    return run
