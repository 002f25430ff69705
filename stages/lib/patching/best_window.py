"""The best window of layers, in which single heads are searched."""

from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from stages.lib.patching import patched_runs
from stages.lib.patching.layer_window import Window

SCHEMA = patched_runs.SCHEMA | {"first_layer": pl.Int32, "last_layer": pl.Int32}


@dataclass(frozen=True)
class BestWindow:
    """Content of data/best_window.json: the window that was chosen, or None."""

    window: Window | None


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
