"""The window of layers that single heads are looked for in."""

import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.cases import Cases

SCHEMA = patched_runs.SCHEMA | {"first_layer": pl.Int32, "last_layer": pl.Int32}
CHOSEN_BY = "highest mean probability of the right answer, on the selection part"
NOT_CHOSEN = "nothing: the known statements of the selection part have not both labels"


def best(runs: pl.DataFrame, about: Cases) -> dict[str, int] | None:
    """Choose the window with the highest truth on the selection part.

    Parameters
    ----------
    runs : DataFrame
        What stage `windows` wrote, with the columns of `SCHEMA`.
    about : Cases
        The statements of the runs.

    Returns
    -------
    dict or None
        ``first_layer`` and ``last_layer``; of windows that are equally good the lowest. None where
        the known statements have not both labels: a constant answer would be right everywhere, and
        a lie could not be told from a habit.
    """
    chosen = (about.table["part"] == "selection").to_numpy()
    label = about.label[chosen]
    if label.all() or not label.any():
        return None
    layers = windows(runs)
    truth = [
        patch.mean_truth(patched_runs.probabilities(runs, **window)[chosen], label)
        for window in layers
    ]
    return layers[truth.index(max(truth))]


def windows(runs: pl.DataFrame) -> list[dict[str, int]]:
    """First and last layer of each window that was run, the lowest first."""
    layers = runs.select("first_layer", "last_layer").drop_nulls().unique().sort("first_layer")
    return layers.to_dicts()
