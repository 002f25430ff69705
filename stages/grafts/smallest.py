"""The smallest set of heads whose weights a lie needs: without their change the model is honest."""

from collections.abc import Callable

import numpy as np

from stages.lib.grafting.graft_runs import Graft
from stages.lib.grafting.units import Unit
from stages.lib.patching import patch
from stages.lib.patching.graft_names import HEAD, SET, WITHOUT
from stages.lib.patching.patch import Head

Run = Callable[[list[Graft], str], np.ndarray]


def heads(run: Run, every: list[Head], label: np.ndarray, target: float) -> tuple[Head, ...]:
    """Search for it on the selection split.

    Heads are ordered by the log-odds of the right answer that taking out each one alone adds. The
    first ones of this order are taken out together, one more at a time, until the accuracy reaches
    the target. Then each of them is left in again, the last one first, if the target is reached
    without it. The set is small, and no head of it can be left in; another search may find a
    smaller one.

    Parameters
    ----------
    run : callable
        From grafts and a title to P(true) and P(false), (n_grafts, n_statements, 2).
    every : list of Head
        Heads whose weights are changed.
    label : ndarray of shape (n_statements,), bool
        Whether each statement is true.
    target : float
        Accuracy.

    Returns
    -------
    tuple of Head
        By layer and head; none where all of them together do not reach the target, or the
        statements have not both labels.
    """
    if not every or label.all() or not label.any():
        return ()
    alone = run([Graft(WITHOUT, Unit(HEAD, *head)) for head in every], "single heads")
    effect = patch.log_odds(alone, label).mean(axis=1)
    order = [every[i] for i in np.argsort(-effect, kind="stable")]

    def reaches(some: list[Head]) -> bool:
        p = run([Graft(WITHOUT, Unit(SET, heads=tuple(sorted(some))))], f"{len(some)} heads")
        return bool(patch.correct(p[0], label).mean() >= target)

    size = next((n for n in range(1, len(order) + 1) if reaches(order[:n])), 0)
    kept = order[:size]
    for head in reversed(order[:size]):
        fewer = [other for other in kept if other != head]
        if fewer and reaches(fewer):
            kept = fewer
    return tuple(sorted(kept))
