"""Processes that share the fitting; Ctrl-C is the business of the one that started them."""

import signal
import warnings
from collections.abc import Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any, cast

import joblib  # pyright: ignore[reportMissingTypeStubs]


def each(jobs: Iterable[Any], n_jobs: int = -1) -> Iterator[Any]:
    """Do jobs in parallel; memory holds a few of them at a time.

    Parameters
    ----------
    jobs : iterable of joblib.delayed
        Taken only as fast as workers do them.
    n_jobs : int
        Processes; -1 is all cores.

    Returns
    -------
    iterator
        What each of them gives, in order.
    """
    parallel = cast(Any, joblib).Parallel(n_jobs=n_jobs, return_as="generator", max_nbytes=None)
    warnings.filterwarnings("ignore", r"\d+ tasks which were still being processed", UserWarning)
    resource_tracker.ensure_running()  # Python 3.11 clears the mask when it starts this helper
    # A process has the mask of the one that starts it. A terminal signals all of them, and one that
    # still imports its packages would print a traceback.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        return parallel(jobs)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
