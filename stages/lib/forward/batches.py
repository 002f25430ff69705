"""Batches of prompts, shared among the processes that a launcher started."""

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from torch import Tensor
from tqdm import tqdm

from stages.lib.forward import budget, filled
from stages.lib.forward.prompts import Prompts
from stages.lib.io.cli import UserError
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
    return min(gather([_at_once(prompts)]))


def _at_once(prompts: Prompts) -> int:
    """Prompts in a batch of this process."""
    lm, site = prompts.lm, prompts.site
    return budget.prompts_at_once(lm, prompts.n_own, prompts.n_tail, prompts.longest, site)


def numbers(x: Tensor) -> np.ndarray:
    """Bring results to where numpy reads them."""
    return x.float().cpu().numpy()


def of_like_length(
    prompts: Prompts, rows: Sequence[int], at_once: int, patched: bool = False
) -> list[list[int]]:
    """Cut rows into batches of like length, so that little is padding, for all processes alike.

    There are as many batches for each process, as far as rows suffice, and they take equally long.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : sequence of int
        Which of them.
    at_once : int
        Most prompts in a batch.
    patched : bool
        Whether patched runs follow, which take the same time for each prompt; otherwise time goes
        by tokens.

    Returns
    -------
    list of list of int
        Rows. What a batch lacks is filled with its last row again, see `filled`: whoever looks at
        results puts them at their rows.
    """
    order = sorted(rows, key=lambda row: (len(prompts.token_ids[row]), row))
    multiple = filled.multiple(prompts.lm)
    blocks = [order[i : i + multiple] for i in range(0, len(order), multiple)]
    work = [len(block) if patched else sum(prompts.own[row] for row in block) for block in blocks]
    ends = _alike(work, max(1, at_once // multiple))
    cut = [order[i * multiple : j * multiple] for i, j in ends]
    return [filled.prompts(prompts.lm, batch, prompts.n_tail) for batch in cut]


def _alike(work: list[int], most: int) -> Iterator[tuple[int, int]]:
    """Cut a list into parts of at most so many, as many for each process, with as much work."""
    n_processes = processes.processes().num_processes
    n_parts = -(-len(work) // most)
    n_parts = min(len(work), -(-n_parts // n_processes) * n_processes)
    done = np.cumsum([0, *work])
    start = 0
    for left in range(n_parts, 0, -1):
        target = done[start] + (done[-1] - done[start]) / left
        end = int(np.abs(done - target).argmin())
        # Parts that follow need one at least, and can hold no more than `most`.
        least, largest = len(work) - (left - 1) * most, len(work) - (left - 1)
        end = min(max(end, start + 1, least), start + most, largest)
        yield start, end
        start = end


def parts(rows: Sequence[int], at_once: int) -> list[list[int]]:
    """Cut a list into parts of similar size, none longer than the limit."""
    n = -(-len(rows) // at_once)
    return [part.tolist() for part in np.array_split(rows, n)] if n else []


def each(
    prompts: Prompts, cut: Sequence[list[int]], work: Callable[[list[int]], Answer]
) -> Iterator[tuple[list[int], Answer]]:
    """Do something with each batch; one that memory does not suffice for is cut in two.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    cut : sequence of list of int
        From `of_like_length`. Later batches are cut likewise, as the budget has shrunk.
    work : callable
        From a batch to what is to be known of it.

    Yields
    ------
    tuple of list of int and Answer
        The batch, or the part of one, and what `work` gave.

    Raises
    ------
    UserError
        If memory does not suffice for the least batch.
    """
    waiting = [*reversed(cut)]
    while waiting:
        rows, done = waiting.pop(), list[Answer]()
        try:
            done.append(work(rows))
        except (MemoryError, RuntimeError) as error:
            if not budget.is_out_of_memory(error):
                raise
        # Not while the error is at hand: its frames hold what did not fit.
        if done:
            yield rows, done[0]
        else:
            waiting += reversed(_halves(prompts, rows))


def _halves(prompts: Prompts, rows: list[int]) -> list[list[int]]:
    """Cut a batch in two; the least one stays, with less to do at once in it."""
    own = list(dict.fromkeys(rows))
    half = max(1, len(own) // 2)
    halved = budget.halve(prompts.lm)
    while _at_once(prompts) > half and budget.halve(prompts.lm):
        pass  # later batches are no larger
    if not halved:
        raise UserError(
            f"{len(own)} prompts of at most {prompts.longest} tokens do not fit into memory, and "
            "no fewer can be run at once; free some, or take a smaller model or model.dtype"
        )
    return of_like_length(prompts, own, half)


def share(cut: list[Batch]) -> list[Batch]:
    """Return this process's batches."""
    state = processes.processes()
    return cut[state.process_index :: state.num_processes]


class _Bar(tqdm):  # pyright: ignore[reportMissingTypeArgument]
    """A bar whose rate and time left no change of the clock alters."""

    @property
    def _time(self) -> Callable[[], float]:
        return time.monotonic

    @_time.setter
    def _time(self, _: Callable[[], float]) -> None:
        """Of `tqdm` itself: the time of day."""


def progress(title: str, total: int) -> "tqdm[Any]":
    """Bar with rate and time left, on a terminal and in the main process only."""
    state = processes.processes()
    mine = -(-total // state.num_processes)
    hidden = None if state.is_main_process else True
    return _Bar(total=mine, desc=title, unit="prompt", disable=hidden)


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
