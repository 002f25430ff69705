"""Answers alone: what is most likely at the last position of many short prompts."""

from collections.abc import Callable, Iterator
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from stages.lib.forward import batches, budget, unembed
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.model.lm import LanguageModel
from stages.lib.model.processes import processes
from stages.lib.model.readout import Answers, log_probabilities

Answer = TypeVar("Answer")


def read(
    lm: LanguageModel,
    answers: Answers,
    cells: list[list[list[int]]],
    title: str,
    prefixes: list[list[int]] | None = None,
) -> Iterator[dict[str, np.ndarray]]:
    """Readouts and the most likely token of the prompts of some cells, one cell after the other.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    cells : list of list of list of int
        Token ids, one prompt a row, of each cell: the prompts of one wording, which begin alike.
    title : str
        Shown beside the progress bar.
    prefixes : list of list of int, or None
        What the prompts of each cell start with; None takes what they have in common.

    Yields
    ------
    dict of str to ndarray
        Of the next cell, in order: ``readout`` of shape (n_prompts, 2), float32, with P(true) and
        P(false); ``top`` of shape (n_prompts,), uint32, the most likely token's id. A cell's
        numbers do not depend on the other cells.
    """
    every = [ids for cell in cells for ids in cell]
    if not every:
        return
    exact = all(batches.gather([shortcut_is_exact(lm, every, 1)]))
    with batches.progress(title, len(every)) as bar:
        for token_ids, prefix in zip(cells, prefixes or [None] * len(cells), strict=True):
            prompts = (Prompts if exact else PlainPrompts)(lm, token_ids, 1, prefix=prefix)
            results: list[batches.Rows] = []
            all_rows, at_once = range(len(token_ids)), batches.prompts_at_once(prompts)
            for _, rows in batches.share(batches.of_like_length(token_ids, all_rows, at_once)):
                results.append((rows, _answers(lm, answers, prompts.run(rows).last)))
                bar.update(len(rows))
            arrays = batches.assemble(batches.gather(results), len(token_ids))
            yield {"readout": arrays["readout"], "top": arrays["top"].astype(np.uint32)}


def from_main_process(look: Callable[[], Answer]) -> Answer:
    """Let the main process look something up, and give every process what it found.

    Processes that went by what each of them finds would wait for each other in vain. May be called
    before a model is loaded.
    """
    state = processes(cpu=not torch.cuda.is_available())  # as `lm.load` starts it
    return batches.gather([look() if state.is_main_process else None])[0]


@torch.no_grad()
def _answers(lm: LanguageModel, answers: Answers, last: Tensor) -> dict[str, np.ndarray]:
    """Readout and most likely token of the decoder's outputs, (n_rows, d_model)."""
    readouts: list[np.ndarray] = []
    tops: list[np.ndarray] = []
    for some in torch.split(last, budget.rows_to_unembed(lm)):
        logits = unembed.logits(lm, some)
        log_p = log_probabilities(logits, answers)
        unembed.refuse_what_is_no_number(log_p)
        readouts.append(batches.numbers(log_p.exp()))
        # `assemble` holds float32, which has every whole number up to 16,777,216
        tops.append(batches.numbers(logits.argmax(dim=-1)))
    return {"readout": np.concatenate(readouts), "top": np.concatenate(tops)}
