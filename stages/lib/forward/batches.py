"""Batches of prompts, shared among the processes that a launcher started."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from tqdm import tqdm

from stages.lib.forward import budget
from stages.lib.forward.prompts import Prompts
from stages.lib.model import processes

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


def of_like_length(
    token_ids: list[list[int]], rows: range, at_once: int, multiple: int = 1
) -> list[list[int]]:
    """Cut rows into batches of like length, so that little is padding, and of like size.

    All but one have a multiple of so many rows.
    """
    order = sorted(rows, key=lambda row: (len(token_ids[row]), row))
    blocks = parts(range(0, len(order), multiple), max(1, at_once // multiple))
    return [order[starts[0] : starts[-1] + multiple] for starts in blocks]


def parts(rows: Sequence[int], at_once: int) -> list[list[int]]:
    """Cut a list into parts of like size, none of them longer than so."""
    n = -(-len(rows) // at_once)
    return [part.tolist() for part in np.array_split(rows, n)] if n else []


def share(cut: list[list[int]]) -> list[tuple[int, list[int]]]:
    """Return this process's batches, numbered."""
    state = processes.processes()
    return list(enumerate(cut))[state.process_index :: state.num_processes]


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
