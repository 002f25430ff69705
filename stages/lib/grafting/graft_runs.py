"""Answers to the liar's prompts with grafted weights."""

from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager
from functools import cache
from importlib.metadata import version
from pathlib import Path
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
    """A unit of weights, and the run: the model without its change, or with its change alone."""

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
        One prompt per row, at least one.
    prefix : list of int or None
        Tokens that prompts of this wording start with.
    changes : dict of tuple of int and str to Tensor
        From `weights.changes`.
    adapter : str
        Hash of the adapter's weights, part of the names of remembered runs.
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
        all_batches = batches.of_like_length(
            prompts, range(len(token_ids)), batches.prompts_at_once(prompts)
        )
        # Only once: batches depend on free memory, and `_Below` relies on the same batches.
        self._batches = batches.share(all_batches)

    def __call__(self, grafts: list[Graft], title: str) -> np.ndarray:
        """Return the answers with each graft.

        Parameters
        ----------
        grafts : list of Graft
            The grafts.
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
        """Make the prompts anew for each graft, as their shared prefix runs with the graft too."""
        return Prompts(self.lm, self._token_ids, 1, prefix=self._prefix)

    def _run(self, keys: list[bytes]) -> np.ndarray:
        """Run all prompts with the current weights: (n_prompts, 3), as in `Memory.recall`."""
        prompts, n = self._prompts(), len(self._token_ids)
        with self._below():
            runs = [(rows, prompts.run(rows).last) for rows in self._batches]
        results: list[batches.Rows] = []
        for rows, read in unembed.readouts(self.lm, self.answers, runs):
            self._memory.keep([keys[row] for row in rows], read)
            results.append((rows, {"read": read}))
        return batches.assemble(batches.gather(results), n)["read"]

    def _keys(self, graft: Graft) -> list[bytes]:
        """Return the names of the runs of one graft, one per prompt."""
        description = f"{_code()} {self._adapter} {graft.run} {graft.unit}".encode()
        return [store.digest(b"graft", description, name) for name in self._names]


@cache
def _code() -> str:
    """Return what weights are grafted with: a hash of this folder, and the version of peft."""
    return f"{store.code(Path(__file__).parent)} {version('peft')}"


class _Below:
    """Layers below the first changed layer, which run once: all grafts share their output.

    Batches come in the same order with every graft. The shared prefix of the prompts, one short
    row, runs again, as batches need its keys and values of every layer.
    """

    def __init__(self, lm: LanguageModel, first: int) -> None:
        self._layers, self._first = lm.layers[:first], lm.layers[first]
        self._inputs: list[Tensor] = []

    @contextmanager
    def __call__(self) -> Generator[None]:
        """Run the layers below and keep their outputs, or use the kept outputs."""
        kept_inputs = iter([*self._inputs])

        def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any]:
            if kwargs["kept"].record:
                return args, kwargs
            if (x := next(kept_inputs, None)) is None:
                self._inputs.append(hooks.given(args, kwargs).clone())
                return args, kwargs
            return hooks.with_given(args, kwargs, x)

        with ExitStack() as stack:
            if self._inputs:
                for layer in self._layers:
                    stack.enter_context(hooks.stand_in(layer, _on_prefix_only(layer.forward)))
            hook = self._first.register_forward_pre_hook(enter, with_kwargs=True)
            stack.callback(hook.remove)
            yield


def _on_prefix_only(forward: Callable[..., Any]) -> Callable[..., Any]:
    """Make a forward that runs a layer on the shared prefix only, and skips it on other tokens."""

    def run(hidden_states: Tensor, *args: Any, **kwargs: Any) -> Any:
        if kwargs["kept"].record:
            return forward(hidden_states, *args, **kwargs)
        return hidden_states

    return run
