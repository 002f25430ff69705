"""Scores of each method at finding the smallest set of heads whose training the lie needs."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.patching import layer_window, patch
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.graft_names import HEAD, LAYER
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import plot_rows, ranking
from stages.lib.stats.advantage import advantage, head_effects
from stages.lib.stats.ranking import Ranked

Cells = list[tuple[int, int, float]]
"""Layer, head and a number; a head may stand there several times."""
Scores = NDArray[np.float64]
"""One score per head, (n_layers, n_heads): the larger, the more the head matters by a method."""


def scores(
    head_effects: pl.DataFrame,
    all_positions: pl.DataFrame,
    best_window: Window | None,
    head_set: list[Head],
    traced: Cells,
    grafts: pl.DataFrame,
    shape: tuple[int, int],
) -> dict[str, Scores]:
    """Score every head of the model by each method.

    Parameters
    ----------
    head_effects : DataFrame
        From stage `attribution_patching`: effects and estimates by statement and head, in nats.
    all_positions : DataFrame
        From stage `trace`: estimates at all positions, by statement and head.
    best_window : Window or None
        The best window.
    head_set : list of Head
        The head set.
    traced : list of tuple
        From `traced`.
    grafts : DataFrame
        From stage `grafts`: runs with grafted weights.
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
    window_heads = layer_window.heads(best_window, shape[1])
    weight_changes = grafts.filter(unit=HEAD).select("layer", "index", "size").unique()
    changed_layers = grafts.filter(unit=LAYER)["layer"].unique()
    return {
        "single_heads": _grid(means.select("layer", "head", "effect").rows(), shape),
        "attribution_patching": _grid(means.select("layer", "head", "estimate").rows(), shape),
        "attribution_everywhere": _grid(_means(all_positions), shape),
        "trace": _grid(sorted(traced, key=lambda cell: cell[2]), shape),
        "window": _grid([(head.layer, head.head, 1.0) for head in window_heads], shape),
        "head_set": _grid([(layer, head, 1.0) for layer, head in head_set], shape),
        "weight_change": _grid(weight_changes.rows(), shape),
        "trained_layers": _grid(
            [(layer, head, 1.0) for layer in changed_layers for head in range(shape[1])], shape
        ),
    }


def traced(runs: pl.DataFrame, about: PromptPairs, config: PatchConfig) -> Cells:
    """Return the share of the log-odds that each head of a cell that matters recovers.

    Parameters
    ----------
    runs : DataFrame
        Runs of stage `trace`.
    about : PromptPairs
        Their statements; those of the report split count.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of tuple
        Layer, head and share, by cell; no cell where there is nothing to recover.
    """
    report = about.of_split("report")
    runs = runs.filter(pl.col("statement_id").is_in(report.table["statement_id"].implode()))
    reference = advantage(runs, report, config.source, config.base)
    return [
        (plot_rows.integer(effect.name, "layer"), plot_rows.integer(effect.name, "head"), share)
        for effect in head_effects(runs, reference)
        if (share := effect.recovered.value) is not None
    ]


def score(method: Scores, needed: list[Head]) -> Ranked:
    """Score a method, (n_layers, n_heads), against the heads that the lie needs (at least one)."""
    n_layers, n_heads = method.shape
    (truth,) = patch.of_heads([needed], n_layers, n_heads)
    return ranking.ranked(method.ravel(), truth.ravel())


def _means(estimates: pl.DataFrame) -> Cells:
    """Return layer, head and mean estimate of each head."""
    return estimates.group_by("layer", "head").agg(pl.col("estimate").mean()).rows()


def _grid(rows: Cells, shape: tuple[int, int]) -> Scores:
    """Put numbers into a grid of layers and heads: 0 where there is none, the last of several."""
    grid = np.zeros(shape)
    for layer, head, value in rows:
        grid[layer, head] = value
    return grid
