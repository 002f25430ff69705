"""Runs jobs in worker processes; only the main process handles Ctrl-C."""

import signal
import threading
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
    threading.excepthook = _without_late_jobs
    warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed", UserWarning)
    resource_tracker.ensure_running()  # Python 3.11 clears the mask when it starts this helper
    # Workers inherit the signal mask. A terminal signals all processes, and a worker that is still
    # importing packages would print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return parallel(jobs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _without_late_jobs(args: threading.ExceptHookArgs) -> None:
    """Print what ended a thread, but for a job that joblib dropped before its thread took it."""
    # When a run is given up, loky (3.6) drops its waiting jobs, and its thread then looks for them.
    of_joblib = args.thread is not None and args.thread.name == "ExecutorManagerThread"
    if not (of_joblib and args.exc_type is KeyError):
        threading.__excepthook__(args)
