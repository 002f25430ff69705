"""Batches of prompts, shared among the processes that a launcher started."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor
from tqdm import tqdm

from stages.lib.forward import budget, filled
from stages.lib.forward.prompts import Prompts
from stages.lib.model import processes

Answer = TypeVar("Answer")
Batch = TypeVar("Batch")
Rows = tuple[list[int], dict[str, np.ndarray]]
"""Numbers of some rows, and what was found of them."""


def is_main_process() -> bool:
    """Return whether this process is the one that writes files."""
    return processes.processes().is_main_process


def prompts_at_once(prompts: Prompts) -> int:
    """Prompts in a batch; the same in all processes, as each cuts the same list into batches."""
    at_once = budget.prompts_at_once(
        prompts.lm, prompts.n_own, prompts.n_tail, prompts.longest, prompts.site
    )
    return min(gather([at_once]))


def numbers(x: Tensor) -> np.ndarray:
    """Bring results to where numpy reads them."""
    return x.float().cpu().numpy()


def of_like_length(prompts: Prompts, rows: Sequence[int], at_once: int) -> list[list[int]]:
    """Cut rows into batches of similar length, so that little is padding, and of similar size.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : sequence of int
        Which of them.
    at_once : int
        Prompts in a batch.

    Returns
    -------
    list of list of int
        Rows. What a batch lacks is filled with its last row again, see `filled`: whoever looks at
        results puts them at their rows.
    """
    order = sorted(rows, key=lambda row: (len(prompts.token_ids[row]), row))
    multiple = filled.multiple(prompts.lm)
    blocks = parts(range(0, len(order), multiple), max(1, at_once // multiple))
    cut = [order[starts[0] : starts[-1] + multiple] for starts in blocks]
    return [filled.prompts(prompts.lm, batch, prompts.n_tail) for batch in cut]


def parts(rows: Sequence[int], at_once: int) -> list[list[int]]:
    """Cut a list into parts of similar size, none longer than the limit."""
    n = -(-len(rows) // at_once)
    return [part.tolist() for part in np.array_split(rows, n)] if n else []


def share(cut: list[Batch]) -> list[Batch]:
    """Return this process's batches."""
    state = processes.processes()
    return cut[state.process_index :: state.num_processes]


def progress(title: str, total: int) -> "tqdm[Any]":
    """Bar with rate and time left, on a terminal and in the main process only."""
    state = processes.processes()
    mine = -(-total // state.num_processes)
    hidden = None if state.is_main_process else True
    return tqdm(total=mine, desc=title, unit="prompt", disable=hidden)


def assemble(results: list[Rows], n: int) -> dict[str, np.ndarray]:
    """Put rows that were captured in batches back in order."""
    out: dict[str, np.ndarray] = {}
    for rows, arrays in results:
        for name, array in arrays.items():
            out.setdefault(name, np.empty((n, *array.shape[1:]), np.float32))[rows] = array
    return out


def gather(results: list[Any]) -> list[Any]:
    """Collect every process's results in every process."""
    return processes.gather(results)


def from_main_process(look: Callable[[], Answer]) -> Answer:
    """Let the main process look something up, and give every process what it found.

    Processes that went by what each of them finds would wait for each other in vain. May be called
    before a model is loaded.
    """
    return gather([look() if is_main_process() else None])[0]
