"""Chooses the best window of layers, from the runs of stage `windows`."""

import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.layer_window import Window
from stages.lib.patching.prompt_pairs import PromptPairs

CHOSEN_BY = "highest mean probability of the right answer, on the selection split"
NOT_CHOSEN = "nothing: the known statements of the selection split have not both labels"


def best(runs: pl.DataFrame, about: PromptPairs) -> Window | None:
    """Choose the window with the highest p_correct on the selection split.

    Parameters
    ----------
    runs : DataFrame
        Runs that stage `windows` wrote, with the columns of
        `stages.lib.patching.best_window.SCHEMA`.
    about : PromptPairs
        The statements of the runs.

    Returns
    -------
    Window or None
        Of equally good windows the lowest. None if the known
        statements have only one label: a constant answer would then be correct on all of them.
    """
    in_selection = (about.table["split"] == "selection").to_numpy()
    label = about.label[in_selection]
    if label.all() or not label.any():
        return None
    candidates = windows(runs)
    p_correct = [
        patch.mean_p_correct(
            patched_runs.probabilities(runs, **window.columns)[in_selection], label
        )
        for window in candidates
    ]
    return candidates[p_correct.index(max(p_correct))]


def windows(runs: pl.DataFrame) -> list[Window]:
    """List the windows that were run, the lowest first."""
    candidates = runs.select("first_layer", "last_layer").drop_nulls().unique().sort("first_layer")
    return [Window(*row) for row in candidates.rows()]
