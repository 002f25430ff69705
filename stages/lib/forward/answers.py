"""Readouts without activations: the answers to many short prompts."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from tqdm import tqdm

from stages.lib.forward import batches, unembed
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.memory import Memory
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers


def read(
    lm: LanguageModel,
    answers: Answers,
    cells: list[list[list[int]]],
    title: str,
    prefixes: list[list[int]] | None = None,
    n_tail: int = 1,
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the readouts and the most likely tokens of the prompts of each cell, in order.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    cells : list of list of list of int
        Token ids of each cell, one prompt per row: a cell is the prompts of one wording.
    title : str
        Shown beside the progress bar.
    prefixes : list of list of int, or None
        Prefix of each cell's prompts; None takes their longest common prefix.
    n_tail : int
        Number of last positions at which runs keep activations. It is part of a run's name: with
        that of `capture`, the runs of `capture` are recalled.

    Yields
    ------
    dict of str to ndarray
        For the next cell, in order: ``readout`` of shape (n_prompts, 2), float32, with P(true) and
        P(false); ``top`` of shape (n_prompts,), uint32, the most likely token's id. A cell's
        numbers do not depend on the other cells.
    """
    all_ids = [ids for cell in cells for ids in cell]
    if not all_ids:
        return
    exact = all(batches.gather([shortcut_is_exact(lm, all_ids, n_tail)]))
    with batches.progress(title, len(all_ids)) as bar:
        for token_ids, prefix in zip(cells, prefixes or [None] * len(cells), strict=True):
            prompts = (Prompts if exact else PlainPrompts)(lm, token_ids, n_tail, prefix=prefix)
            values = _read(prompts, answers, bar)
            yield {
                "readout": unembed.probabilities(values),
                "top": values[:, 2].astype(np.uint32),
            }


def _read(prompts: Prompts, answers: Answers, bar: "tqdm[Any]") -> np.ndarray:
    """Return the values of every prompt, remembered or computed: (n_prompts, 3), float32."""
    memory = Memory(prompts.lm, answers)
    names = memory.prompts(prompts)
    (values,) = memory.recall([names])
    unknown = np.flatnonzero(np.isnan(values[:, 0])).tolist()
    bar.update(len(values) - len(unknown))
    if not unknown:
        return values
    results: list[batches.Rows] = []
    at_once = batches.prompts_at_once(prompts)
    shared = batches.share(batches.of_like_length(prompts, unknown, at_once))
    runs = batches.map_batches(prompts, shared, lambda rows: prompts.run(rows).last)
    for rows, read in unembed.readouts(prompts.lm, answers, runs):
        memory.keep([names[row] for row in rows], read)
        results.append((rows, {"read": read}))
        bar.update(len(set(rows)))
    for rows, arrays in batches.gather(results):
        values[rows] = arrays["read"]
    return values
