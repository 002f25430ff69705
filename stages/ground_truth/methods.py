"""How well each method points at the smallest set of heads whose training the lie needs."""

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
"""Columns of a table of estimates of stage `trace`."""
Scores = NDArray[np.float64]
"""A number per head, (n_layers, n_heads): the larger, the more the method points at the head."""


def scores(
    estimated: pl.DataFrame,
    everywhere: pl.DataFrame,
    window: dict[str, int] | None,
    chosen: list[list[int]],
    trace: TraceMetrics,
    grafts: GraftsMetrics,
    shape: tuple[int, int],
) -> dict[str, Scores]:
    """Score every head of the model by each method.

    Parameters
    ----------
    estimated : DataFrame
        Out of stage `attribution_patching`: effects and estimates by statement and head, in nats.
    everywhere : DataFrame
        Out of stage `trace`: estimates at all positions, with the columns of `ESTIMATES`.
    window : dict or None
        First and last layer of the best window.
    chosen : list of list of int
        Layer and head of the head set.
    trace, grafts : TraceMetrics and GraftsMetrics
        Metrics of the stages of these names.
    shape : tuple of int
        Layers of the model, and heads of a layer.

    Returns
    -------
    dict of str to ndarray
        ``single_heads`` and ``attribution_patching`` at the last positions,
        ``attribution_everywhere`` at all that are paired; ``trace``: each head at the cells that
        matter, the best of its cells (0 elsewhere); ``window`` and ``head_set``: 1 inside and 0
        outside. Two are no methods, as only who trained the model knows them: ``weight_change``,
        the norm of the change of the head's weights, and ``trained_layers``, the control that
        knows these layers and nothing within them: 1 in every head of a changed layer, 0 elsewhere.
    """
    means = estimated.group_by("layer", "head").agg(pl.col("effect", "estimate").mean())
    cells = [
        (cell.layer, int(head), value)
        for cell in trace.cells.values()
        for head, share in cell.heads.items()
        if (value := share.value) is not None
    ]
    inside = patch.of_window(window, shape[1])
    changed = [
        (head.layer, head.head, unit.size)
        for head, unit in ((_head(name), unit) for name, unit in grafts.heads.items())
    ]
    return {
        "single_heads": _grid(means.select("layer", "head", "effect").rows(), shape),
        "attribution_patching": _grid(means.select("layer", "head", "estimate").rows(), shape),
        "attribution_everywhere": _grid(_means(everywhere), shape),
        "trace": _grid(sorted(cells, key=lambda cell: cell[2]), shape),
        "window": _grid([(head.layer, head.head, 1.0) for head in inside], shape),
        "head_set": _grid([(layer, head, 1.0) for layer, head in chosen], shape),
        "weight_change": _grid(changed, shape),
        "trained_layers": _grid(
            [(int(layer), head, 1.0) for layer in grafts.layers for head in range(shape[1])], shape
        ),
    }


def score(method: Scores, needed: list[Head]) -> Ranked:
    """Compare a method, (n_layers, n_heads), with the heads that the lie needs, at least one."""
    n_layers, n_heads = method.shape
    (truth,) = patch.of_heads([needed], n_layers, n_heads)
    return ranking.ranked(method.ravel(), truth.ravel())


def _head(name: str) -> Head:
    """Read a head's name, as in ``21.2``."""
    layer, head = name.split(".")
    return Head(int(layer), int(head))


def _means(estimates: pl.DataFrame) -> list[tuple[int, int, float]]:
    """Mean estimate of each head."""
    return estimates.group_by("layer", "head").agg(pl.col("estimate").mean()).rows()


def _grid(rows: list[tuple[int, int, float]], shape: tuple[int, int]) -> Scores:
    """Numbers by layer and head; 0 where there is none, and the last one where there are more."""
    grid = np.zeros(shape)
    for layer, head, value in rows:
        grid[layer, head] = value
    return grid
