"""Chooses the window of layers in which single heads are searched."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs

SCHEMA = patched_runs.SCHEMA | {"first_layer": pl.Int32, "last_layer": pl.Int32}
CHOSEN_BY = "highest mean probability of the right answer, on the selection split"
NOT_CHOSEN = "nothing: the known statements of the selection split have not both labels"


@dataclass(frozen=True)
class BestWindow:
    """Content of data/best_window.json: the result of `best`."""

    window: dict[str, int] | None

    @property
    def layers(self) -> range | None:
        """Layers of the window."""
        return (
            range(self.window["first_layer"], self.window["last_layer"] + 1)
            if self.window
            else None
        )


def best(runs: pl.DataFrame, about: PromptPairs) -> dict[str, int] | None:
    """Choose the window with the highest p_correct on the selection split.

    Parameters
    ----------
    runs : DataFrame
        Runs that stage `windows` wrote, with the columns of `SCHEMA`.
    about : PromptPairs
        The statements of the runs.

    Returns
    -------
    dict or None
        ``first_layer`` and ``last_layer``; of equally good windows the lowest. None if the known
        statements have only one label: a constant answer would then be correct on all of them.
    """
    in_selection = (about.table["split"] == "selection").to_numpy()
    label = about.label[in_selection]
    if label.all() or not label.any():
        return None
    candidates = windows(runs)
    p_correct = [
        patch.mean_p_correct(patched_runs.probabilities(runs, **window)[in_selection], label)
        for window in candidates
    ]
    return candidates[p_correct.index(max(p_correct))]


def nearest(candidates: Iterable[range], best: range) -> range:
    """Choose the window nearest in size to the best one; ties: most layers in common, lowest.

    Parameters
    ----------
    candidates : iterable of range
        Layers of each window, at least one.
    best : range
        Layers of the best window.
    """

    def distance(layers: range) -> tuple[int, int, int]:
        return abs(len(layers) - len(best)), -len(set(layers) & set(best)), layers.start

    return min(candidates, key=distance)


def windows(runs: pl.DataFrame) -> list[dict[str, int]]:
    """List the first and last layer of each window that was run, the lowest first."""
    candidates = runs.select("first_layer", "last_layer").drop_nulls().unique().sort("first_layer")
    return candidates.to_dicts()
