"""Runs jobs in worker processes; only the main process handles Ctrl-C."""

import signal
import warnings
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any, cast

import joblib  # pyright: ignore[reportMissingTypeStubs]


def run_jobs(jobs: Iterable[Any], n_jobs: int = -1) -> Iterator[Any]:
    """Run jobs in parallel; memory holds a few of them at a time.

    Parameters
    ----------
    jobs : iterable of joblib.delayed
        Jobs; taken only as fast as workers finish them.
    n_jobs : int
        Number of processes; -1 is all cores.

    Returns
    -------
    iterator
        Result of each job, in order.
    """
    parallel = cast(Any, joblib).Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes=None)
    warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed", UserWarning)
    resource_tracker.ensure_running()  # Python 3.11 clears the mask when it starts this helper
    # Workers inherit the signal mask. A terminal signals all processes, and a worker that is still
    # importing packages would print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return parallel(jobs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
