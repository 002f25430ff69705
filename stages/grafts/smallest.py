"""The smallest set of heads whose weights a lie needs: without their change the model is honest."""

from collections.abc import Callable

import numpy as np

from stages.lib.grafting.graft_runs import Graft
from stages.lib.grafting.units import Unit
from stages.lib.patching import patch
from stages.lib.patching.graft_names import HEAD, SET, WITHOUT
from stages.lib.patching.patch import Head

Run = Callable[[list[Graft], str], np.ndarray]


def heads(run: Run, candidates: list[Head], label: np.ndarray, target: float) -> tuple[Head, ...]:
    """Search for a small set of heads without whose change of weights the model is honest.

    Heads are ordered by the gain in log-odds of the right answer when the change of each head alone
    is taken out. The first heads of this order are taken out together, one more at a time, until
    the accuracy reaches the target. Then each head of the set, the last one first, is put back if
    the target is reached without taking it out. No single head of the resulting set can be put
    back; another search may find a smaller set.

    Parameters
    ----------
    run : callable
        From grafts and a title to P(true) and P(false), (n_grafts, n_statements, 2).
    candidates : list of Head
        Heads whose weights are changed.
    label : ndarray of shape (n_statements,), bool
        Whether each statement is true.
    target : float
        Accuracy to reach.

    Returns
    -------
    tuple of Head
        Sorted by layer and head. Empty if taking out all heads does not reach the target, or if the
        statements lack one of the labels.
    """
    if not candidates or label.all() or not label.any():
        return ()
    single_runs = run([Graft(WITHOUT, Unit(HEAD, *head)) for head in candidates], "single heads")
    effect = patch.log_odds(single_runs, label).mean(axis=1)
    order = [candidates[i] for i in np.argsort(-effect, kind="stable")]

    def reaches(head_subset: list[Head]) -> bool:
        p = run(
            [Graft(WITHOUT, Unit(SET, heads=tuple(sorted(head_subset))))],
            f"{len(head_subset)} heads",
        )
        return bool(patch.correct(p[0], label).mean() >= target)

    size = next((n for n in range(1, len(order) + 1) if reaches(order[:n])), 0)
    needed_heads = order[:size]
    for head in reversed(order[:size]):
        smaller_set = [other for other in needed_heads if other != head]
        if smaller_set and reaches(smaller_set):
            needed_heads = smaller_set
    return tuple(sorted(needed_heads))
