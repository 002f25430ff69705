"""Scores of the pipeline's results against the layers that were trained to lie."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.ground_truth.effects import Effects
from stages.ground_truth.metrics import (
    Accuracy,
    HeadSetOverlap,
    OtherBlocks,
    SingleHeads,
    WindowOverlap,
)
from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval, bootstrap, ranking


def by_layer(single_effects: Effects, trained: list[int]) -> list[Row]:
    """Return the rows of plots/ground_truth/layers.json: mean effect of the heads of each layer.

    Returns
    -------
    list of dict
        One row per layer: layer, trained, and effect (gain in p_correct with one head patched, mean
        over the heads of the layer) with its interval.
    """
    layer = np.array([layers[0] for layers in single_effects.layers], np.int64)
    return [
        {
            "layer": int(i),
            "trained": int(i) in trained,
            **stats.mean(
                single_effects.p_correct[layer == i].mean(axis=0), single_effects.subject, (-1, 1)
            ).row("effect"),
        }
        for i in np.unique(layer)
    ]


def overlap(first: range, second: range) -> float:
    """Return the intersection over union of two ranges of layers.

    Parameters
    ----------
    first, second : range
        Layers; neither range is empty.
    """
    n_shared = len(set(first) & set(second))
    return n_shared / (len(first) + len(second) - n_shared)


def window(best: Window | None, trained: range, window_effects: Effects) -> WindowOverlap:
    """Score the best window, and the windows whose p_correct is not significantly lower."""
    overlaps = [overlap(layers, trained) for layers in window_effects.layers]
    by_chance = float(np.mean(overlaps)) if overlaps else None
    if best is None:
        return WindowOverlap(None, None, None, by_chance, None, 0)
    span = best.layers
    selection = window_effects.split == "selection"
    p_correct, subject = window_effects.p_correct[:, selection], window_effects.subject[selection]
    best_p_correct = p_correct[window_effects.layers.index(span)]
    gaps = [stats.mean_difference(best_p_correct - row, subject) for row in p_correct]
    as_good = {
        str(layers[0]): overlap(layers, trained)
        for layers, gap in zip(window_effects.layers, gaps, strict=True)
        if gap.value is not None and not gap.is_above(0)
    }
    n = int(selection.sum())
    score = overlap(span, trained)
    return WindowOverlap(**best.columns, overlap=score, by_chance=by_chance, as_good=as_good, n=n)


def heads(single_effects: Effects, trained: range) -> SingleHeads:
    """Score the effects of single heads: trained layers against all other layers.

    Parameters
    ----------
    single_effects : Effects
        Effects of every head of the model, patched alone.
    trained : range
        Layers trained to lie.

    Returns
    -------
    SingleHeads

    References
    ----------
    Gupta et al., InterpBench, arXiv:2407.14494 (planted circuits as ground truth).
    """
    layer = np.array([layers[0] for layers in single_effects.layers], np.int64)
    inside, size = np.isin(layer, trained), len(trained)
    others = [
        float(
            ranking.area(
                (layer >= first) & (layer < first + size), single_effects.p_correct.mean(axis=1)
            )
        )
        for first in range(layer.max(initial=-1) + 2 - size)
        if abs(first - trained[0]) >= size
    ]
    return SingleHeads(
        auroc=auroc(single_effects.p_correct, inside, single_effects.subject),
        others=OtherBlocks(
            n_blocks=len(others),
            mean=float(np.mean(others)) if others else None,
            max=max(others, default=None),
        ),
        share=share(single_effects.p_correct, inside, single_effects.subject),
        share_by_chance=float(inside.mean()) if len(inside) else None,
        n_trained=int(inside.sum()),
        n_heads=len(layer),
    )


def auroc(
    effects: NDArray[np.float64], inside: NDArray[np.bool_], subject: NDArray[Any], seed: int = 0
) -> Interval:
    """Return the area under the ROC curve of mean effects, heads inside against heads outside.

    Parameters
    ----------
    effects : ndarray of shape (n_heads, n_statements), float64
        Effect of each head alone on each statement.
    inside : ndarray of shape (n_heads,), bool
        Heads that should have the larger effects.
    subject : ndarray of shape (n_statements,)
        Subject of each statement.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Interval
        Bootstrap of 2,000 draws. Each draw resamples subjects, heads inside and heads outside, as
        another model would have other heads. n counts statements. `NOTHING` if no head, or every
        head, is inside.
    """
    if not effects.size or not inside.any() or inside.all():
        return stats.NOTHING
    random = np.random.default_rng(seed)
    means = bootstrap.means(effects, subject, random)
    head_draws = ranking.draw_heads(inside, len(means), random)
    areas = ranking.area(inside[head_draws], np.take_along_axis(means, head_draws, axis=1))
    value = float(ranking.area(inside, effects.mean(axis=1)))
    return bootstrap.interval(value, areas, subject)


def share(
    effects: NDArray[np.float64], inside: NDArray[np.bool_], subject: NDArray[Any], seed: int = 0
) -> Interval:
    """Return the share of all positive mean effects that heads inside have; parameters: `auroc`.

    Returns
    -------
    Interval
        Bootstrap of 2,000 draws over subjects; heads are not resampled. n counts statements.
    """
    if not effects.size or not (effects.mean(axis=1) > 0).any():
        return stats.NOTHING
    drawn = bootstrap.means(effects, subject, np.random.default_rng(seed))
    drawn = np.vstack([effects.mean(axis=1), drawn]).clip(min=0)
    total = np.maximum(drawn.sum(axis=1), np.finfo(float).tiny)  # may be 0 in a draw
    value, *draws = drawn[:, inside].sum(axis=1) / total
    return bootstrap.interval(value, np.array(draws), subject)


def head_set(set_heads: list[Head], trained: range, single_effects: Effects) -> HeadSetOverlap:
    """Count the heads of the set in trained layers, beside the share expected by chance."""
    inside = [layers[0] in trained for layers in single_effects.layers]
    return HeadSetOverlap(
        n_heads=len(set_heads),
        n_trained=sum(layer in trained for layer, _ in set_heads),
        by_chance=float(np.mean(inside)) if inside else None,
    )


def divergence_layer(falls: pl.DataFrame, source: str, base: str) -> int | None:
    """Return the first layer after which the truth directions of two personas have diverged.

    Parameters
    ----------
    falls : DataFrame
        With the columns of `probe_files.FALLS`.
    source, base : str
        Personas.
    """
    pair = falls.filter(
        pl.col("site") == "resid_post",
        pl.concat_list("first", "second").list.sort() == sorted((source, base)),
    )
    fall = pair["falls_below_half"].item()
    return None if fall is None else fall - 1  # resid_post i is the output of layer i - 1


def belief(probes: pl.DataFrame, layer: int, source: str, base: str) -> dict[str, Accuracy]:
    """Return the accuracy of probes of truth on the input of a layer, in both runs.

    Parameters
    ----------
    probes : DataFrame
        With the columns of `probe_files.LAYERS`.
    layer : int
        First trained layer; no trained layer has changed its input.
    source, base : str
        Personas of the honest and of the lying run.

    Returns
    -------
    dict of str to Accuracy
        ``source`` and ``base``: each run's probe on its own run. ``transfer``: the source's probe
        on the base run. ``permuted``: the base's probe with permuted labels, as a control.
    """
    probe_keys = {
        "source": ("true", source, source),
        "base": ("true", base, base),
        "transfer": ("true", source, base),
        "permuted": ("permuted", base, base),
    }
    entering = probes.filter(site="resid_post", layer=layer)
    return {
        name: Accuracy(
            **entering.filter(labels=labels, fit=fit, scored=scored)
            .select("accuracy", "low", "high", "n")
            .row(0, named=True)
        )
        for name, (labels, fit, scored) in probe_keys.items()
    }


def window_gain(window_effects: Effects, best: Window | None) -> Interval:
    """Return the gain in accuracy with the best window patched, on the report split.

    Parameters
    ----------
    window_effects : Effects
        Effects of all windows.
    best : Window or None
        The best window.
    """
    if best is None:
        return stats.NOTHING
    row = [layers[0] for layers in window_effects.layers].index(best.first_layer)
    report = window_effects.split == "report"
    gained = window_effects.accuracy[row, report]  # 1: right if patched alone; -1: unpatched alone
    return stats.difference(gained > 0, gained < 0, window_effects.subject[report])


def set_gain(transplant: Path, pairs: Path) -> Interval:
    """Return the gain in accuracy with the head set patched, on the report split.

    Parameters
    ----------
    transplant, pairs : Path
        Outputs of the stages of these names.
    """
    runs, about = patched_runs.read(transplant, patched_runs.SCHEMA | {"run": pl.String}, pairs)
    patched, base = (
        patch.correct(patched_runs.probabilities(runs, run=run), about.label)
        for run in ("patched", "base")
    )
    return stats.difference(patched, base, about.subject)
