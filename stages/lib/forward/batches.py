"""Batches of prompts, divided among the processes that a launcher started."""

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
"""Row numbers, and named arrays with one entry per row."""


def is_main_process() -> bool:
    """Return whether this process is the one that writes files."""
    return processes.processes().is_main_process


def prompts_at_once(prompts: Prompts) -> int:
    """Return the batch size: the same in all processes, as each makes the same batches."""
    return min(gather([_at_once(prompts)]))


def _at_once(prompts: Prompts) -> int:
    """Return the batch size that fits this process."""
    lm, site = prompts.lm, prompts.site
    return budget.prompts_at_once(lm, prompts.n_own, prompts.n_tail, prompts.longest, site)


def numbers(x: Tensor) -> np.ndarray:
    """Return a tensor as a float32 numpy array."""
    return x.float().cpu().numpy()


def of_like_length(
    prompts: Prompts, rows: Sequence[int], at_once: int, patched: bool = False
) -> list[list[int]]:
    """Split rows into batches of similar length, to need little padding.

    Prompts with a stem and prompts without one share no batch.

    If rows suffice, each process gets the same number of batches, and batches take the same time.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : sequence of int
        Numbers of the prompts to split.
    at_once : int
        Maximum number of prompts per batch.
    patched : bool
        Whether the time per prompt is constant, as for patched runs; otherwise time grows with the
        number of tokens.

    Returns
    -------
    list of list of int
        Rows of each batch. A batch may repeat its last row (see `filled`), so results must be
        stored by row.
    """
    by_kind = [[row for row in rows if prompts.has_stem(row) == has] for has in (True, False)]
    return [
        batch for some in by_kind if some for batch in _of_a_kind(prompts, some, at_once, patched)
    ]


def _of_a_kind(
    prompts: Prompts, rows: list[int], at_once: int, patched: bool
) -> Iterator[list[int]]:
    """Yield batches of rows that all have a stem, or none; parameters as in `of_like_length`."""
    order = sorted(rows, key=lambda row: (len(prompts.token_ids[row]), row))
    multiple = filled.multiple(prompts.lm)
    blocks = [order[i : i + multiple] for i in range(0, len(order), multiple)]
    work = [len(block) if patched else sum(prompts.own[row] for row in block) for block in blocks]
    ends = _equal_parts(work, max(1, at_once // multiple))
    for i, j in ends:
        batch = order[i * multiple : j * multiple]
        yield filled.prompts(prompts.lm, batch, prompts.n_tail)


def _equal_parts(work: list[int], max_size: int) -> Iterator[tuple[int, int]]:
    """Yield the bounds of parts of equal work, at most `max_size` long, as many per process."""
    n_processes = processes.processes().num_processes
    n_parts = -(-len(work) // max_size)
    n_parts = min(len(work), -(-n_parts // n_processes) * n_processes)
    done = np.cumsum([0, *work])
    start = 0
    for n_left in range(n_parts, 0, -1):
        target = done[start] + (done[-1] - done[start]) / n_left
        end = int(np.abs(done - target).argmin())
        # Each later part needs at least one item, and holds at most `max_size`.
        min_end, max_end = len(work) - (n_left - 1) * max_size, len(work) - (n_left - 1)
        end = min(max(end, start + 1, min_end), start + max_size, max_end)
        yield start, end
        start = end


def parts(rows: Sequence[int], at_once: int) -> list[list[int]]:
    """Split a list into parts of similar size, none longer than `at_once`."""
    n = -(-len(rows) // at_once)
    return [part.tolist() for part in np.array_split(rows, n)] if n else []


def map_batches(
    prompts: Prompts, batches: Sequence[list[int]], work: Callable[[list[int]], Answer]
) -> Iterator[tuple[list[int], Answer]]:
    """Apply `work` to each batch; a batch that does not fit into memory is split in two.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    batches : sequence of list of int
        From `of_like_length`. Later batches that do not fit are split, too.
    work : callable
        Maps a batch to its result.

    Yields
    ------
    tuple of list of int and Answer
        The batch, or a part of one, and the result of `work`.

    Raises
    ------
    UserError
        If the smallest batch does not fit into memory.
    """
    waiting = [*reversed(batches)]
    while waiting:
        rows, done = waiting.pop(), list[Answer]()
        try:
            done.append(work(rows))
        except (MemoryError, RuntimeError) as error:
            if not budget.is_out_of_memory(error):
                raise
        # Outside of the handler: the error's frames hold the tensors that did not fit.
        if done:
            yield rows, done[0]
        else:
            waiting += reversed(_halves(prompts, rows))


def _halves(prompts: Prompts, rows: list[int]) -> list[list[int]]:
    """Split a batch in two; a batch of the minimal size stays, with less work at once in it."""
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


def share(batches: list[Batch]) -> list[Batch]:
    """Return this process's batches."""
    state = processes.processes()
    return batches[state.process_index :: state.num_processes]


class _Bar(tqdm):  # pyright: ignore[reportMissingTypeArgument]
    """A progress bar whose rate and remaining time do not depend on changes of the clock."""

    @property
    def _time(self) -> Callable[[], float]:
        return time.monotonic

    @_time.setter
    def _time(self, _: Callable[[], float]) -> None:
        """Ignore the clock that `tqdm` sets: the time of day."""


def progress(title: str, total: int) -> "tqdm[Any]":
    """Make a progress bar, shown on a terminal and in the main process only."""
    state = processes.processes()
    n_here = -(-total // state.num_processes)
    hidden = None if state.is_main_process else True
    return _Bar(total=n_here, desc=title, unit="prompt", disable=hidden)


def assemble(results: list[Rows], n: int) -> dict[str, np.ndarray]:
    """Put the results of batches into the order of their rows."""
    out: dict[str, np.ndarray] = {}
    for rows, arrays in results:
        for name, array in arrays.items():
            out.setdefault(name, np.empty((n, *array.shape[1:]), np.float32))[rows] = array
    return out


def gather(results: list[Any]) -> list[Any]:
    """Collect every process's results in every process."""
    return processes.gather(results)


def from_main_process(look: Callable[[], Answer]) -> Answer:
    """Call `look` in the main process, and return its result in every process.

    If each process relied on its own result, results could differ, and processes would wait for
    each other forever. May be called before a model is loaded.
    """
    return gather([look() if is_main_process() else None])[0]
