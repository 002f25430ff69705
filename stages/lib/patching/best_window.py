"""The window of layers that single heads are looked for in."""

import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs

SCHEMA = patched_runs.SCHEMA | {"first_layer": pl.Int32, "last_layer": pl.Int32}
CHOSEN_BY = "highest mean probability of the right answer, on the selection split"
NOT_CHOSEN = "nothing: the known statements of the selection split have not both labels"


def best(runs: pl.DataFrame, about: PromptPairs) -> dict[str, int] | None:
    """Choose the window with the highest p_correct on the selection split.

    Parameters
    ----------
    runs : DataFrame
        What stage `windows` wrote, with the columns of `SCHEMA`.
    about : PromptPairs
        The statements of the runs.

    Returns
    -------
    dict or None
        ``first_layer`` and ``last_layer``; of windows that are equally good the lowest. None where
        the known statements have not both labels: a constant answer would be right everywhere, and
        a lie could not be told from a habit.
    """
    chosen = (about.table["split"] == "selection").to_numpy()
    label = about.label[chosen]
    if label.all() or not label.any():
        return None
    layers = windows(runs)
    p_correct = [
        patch.mean_p_correct(patched_runs.probabilities(runs, **window)[chosen], label)
        for window in layers
    ]
    return layers[p_correct.index(max(p_correct))]


def windows(runs: pl.DataFrame) -> list[dict[str, int]]:
    """First and last layer of each window that was run, the lowest first."""
    layers = runs.select("first_layer", "last_layer").drop_nulls().unique().sort("first_layer")
    return layers.to_dicts()
