"""Scores of each method at finding the smallest set of heads whose training the lie needs."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.grafts.metrics import GraftsMetrics
from stages.lib.io.tables import Schema
from stages.lib.patching import patch
from stages.lib.patching.patch import Head
from stages.lib.stats import ranking
from stages.lib.stats.ranking import Ranked
from stages.trace.metrics import TraceMetrics

ESTIMATES: Schema = {"statement_id": pl.String, "layer": pl.Int32, "head": pl.Int32}
ESTIMATES |= {"estimate": pl.Float64}
"""Columns of the table of estimates of stage `trace`."""
Scores = NDArray[np.float64]
"""One score per head, (n_layers, n_heads): the larger, the more the head matters by a method."""


def scores(
    head_effects: pl.DataFrame,
    all_positions: pl.DataFrame,
    window: dict[str, int] | None,
    head_set: list[list[int]],
    trace: TraceMetrics,
    grafts: GraftsMetrics,
    shape: tuple[int, int],
) -> dict[str, Scores]:
    """Score every head of the model by each method.

    Parameters
    ----------
    head_effects : DataFrame
        From stage `attribution_patching`: effects and estimates by statement and head, in nats.
    all_positions : DataFrame
        From stage `trace`: estimates at all positions, with the columns of `ESTIMATES`.
    window : dict or None
        First and last layer of the best window.
    head_set : list of list of int
        Layer and head of each head of the head set.
    trace, grafts : TraceMetrics and GraftsMetrics
        Metrics of the stages of these names.
    shape : tuple of int
        Number of layers of the model, and of heads per layer.

    Returns
    -------
    dict of str to ndarray
        ``single_heads``: effect of each head patched alone at the last positions.
        ``attribution_patching``: its estimate at the last positions. ``attribution_everywhere``:
        its estimate at all paired positions. ``trace``: share that the head recovers in a cell that
        matters, the maximum over its cells; 0 for other heads. ``window`` and ``head_set``: 1
        inside and 0 outside. Two are controls, not methods, as they need the organism's training:
        ``weight_change``, the norm of the change of the head's weights, and ``trained_layers``, 1
        for every head of a changed layer and 0 elsewhere.
    """
    means = head_effects.group_by("layer", "head").agg(pl.col("effect", "estimate").mean())
    cells = [
        (cell.layer, int(head), value)
        for cell in trace.cells.values()
        for head, share in cell.heads.items()
        if (value := share.value) is not None
    ]
    window_heads = patch.of_window(window, shape[1])
    weight_changes = [
        (head.layer, head.head, unit.size)
        for head, unit in ((_head(name), unit) for name, unit in grafts.heads.items())
    ]
    return {
        "single_heads": _grid(means.select("layer", "head", "effect").rows(), shape),
        "attribution_patching": _grid(means.select("layer", "head", "estimate").rows(), shape),
        "attribution_everywhere": _grid(_means(all_positions), shape),
        "trace": _grid(sorted(cells, key=lambda cell: cell[2]), shape),
        "window": _grid([(head.layer, head.head, 1.0) for head in window_heads], shape),
        "head_set": _grid([(layer, head, 1.0) for layer, head in head_set], shape),
        "weight_change": _grid(weight_changes, shape),
        "trained_layers": _grid(
            [(int(layer), head, 1.0) for layer in grafts.layers for head in range(shape[1])], shape
        ),
    }


def score(method: Scores, needed: list[Head]) -> Ranked:
    """Score a method, (n_layers, n_heads), against the heads that the lie needs (at least one)."""
    n_layers, n_heads = method.shape
    (truth,) = patch.of_heads([needed], n_layers, n_heads)
    return ranking.ranked(method.ravel(), truth.ravel())


def _head(name: str) -> Head:
    """Parse the name of a head, such as ``21.2``."""
    layer, head = name.split(".")
    return Head(int(layer), int(head))


def _means(estimates: pl.DataFrame) -> list[tuple[int, int, float]]:
    """Return layer, head and mean estimate of each head."""
    return estimates.group_by("layer", "head").agg(pl.col("estimate").mean()).rows()


def _grid(rows: list[tuple[int, int, float]], shape: tuple[int, int]) -> Scores:
    """Put numbers into a grid of layers and heads: 0 where there is none, the last of several."""
    grid = np.zeros(shape)
    for layer, head, value in rows:
        grid[layer, head] = value
    return grid
