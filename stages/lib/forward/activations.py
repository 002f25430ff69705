"""Activations and readouts of one persona's prompts.

Batches are divided among the processes that a launcher started; every process gets every result.
"""

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from stages.lib.forward import batches, finite, unembed
from stages.lib.forward.check import shortcut_is_exact
from stages.lib.forward.memory import Memory
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts, require_tokens
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers


def capture(
    lm: LanguageModel,
    answers: Answers,
    token_ids: list[list[int]],
    positions: list[int],
    n_rows: int,
    title: str,
    site: Site = Z,
    prefix: list[int] | None = None,
    start: int = 0,
    key: str = "activations.positions",
) -> Iterator[dict[str, np.ndarray]]:
    """Yield activations and readouts of one persona's prompts, `n_rows` prompts at a time.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    token_ids : list of list of int
        One prompt per row.
    positions : list of int
        Positions to capture: negative, counted from the end of the prompt.
    n_rows : int
        Number of prompts per yielded chunk.
    title : str
        Shown beside the progress bar.
    site : Site
        Tensor of each layer that is captured.
    prefix : list of int or None
        Tokens that prompts of this wording start with; None takes the prompts' common prefix.
    start : int
        The first prompt to capture; earlier prompts are skipped.
    key : str
        Key of params.yaml that sets the positions, for error messages.

    Yields
    ------
    dict of str to ndarray, float32
        For the next `n_rows` prompts, in order: ``z`` of shape (n_prompts, n_positions, n_layers,
        n_units, width), the tensor at the site; ``resid_post`` of shape (n_prompts, n_positions,
        n_layers + 1, d_model), the embedding first; ``readout`` of shape (n_prompts, 2), P(true)
        and P(false); ``top`` of shape (n_prompts,), the id of the most likely token.
    """
    n_tail = -min(positions)
    require_tokens(key, n_tail, token_ids)
    exact = all(batches.gather([shortcut_is_exact(lm, token_ids, n_tail, site, prefix)]))
    prompts = (Prompts if exact else PlainPrompts)(lm, token_ids, n_tail, site, prefix)
    columns = [n_tail + position for position in positions]
    at_once = batches.prompts_at_once(prompts)
    memory = Memory(lm, answers)
    names = memory.prompts(prompts)

    def captured(rows: list[int]) -> tuple[dict[str, np.ndarray], Tensor]:
        run = prompts.run(rows)
        z = run.z[:, :, columns].permute(1, 2, 0, 3, 4)
        residual = run.residual[:, :, columns].permute(1, 2, 0, 3)
        numbers = {"z": batches.numbers(z), "resid_post": batches.numbers(residual)}
        finite.require_captured(prompts, rows, numbers)
        return numbers, run.last

    with batches.progress(title, len(token_ids)) as bar:
        bar.update(start)
        for first in range(start, len(token_ids), n_rows):
            chunk = range(first, min(first + n_rows, len(token_ids)))
            results: list[batches.Rows] = []
            lasts: list[tuple[tuple[list[int], dict[str, np.ndarray]], Tensor]] = []
            shared = batches.share(batches.of_like_length(prompts, chunk, at_once))
            for rows, (numbers, last) in batches.map_batches(prompts, shared, captured):
                results.append(([row - first for row in rows], numbers))
                lasts.append(((rows, numbers), last))
                bar.update(len(set(rows)))
            for (rows, numbers), read in unembed.readouts(lm, answers, lasts):
                memory.keep([names[row] for row in rows], read)
                numbers |= {"readout": unembed.probabilities(read), "top": read[:, 2]}
            memory.count(len(chunk))
            yield batches.assemble(batches.gather(results), len(chunk))
