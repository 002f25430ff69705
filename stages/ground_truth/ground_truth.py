"""Scores of what the pipeline found against the layers that a lie was planted in."""

from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.ground_truth.effects import Effects
from stages.ground_truth.metrics import Accuracy, BestWindow, HeadSet, OtherBlocks, SingleHeads
from stages.lib import stats
from stages.lib.patching import patch, patched_runs
from stages.lib.stats import Interval, ranking, resample


def by_layer(alone: Effects, planted: list[int]) -> list[dict[str, Any]]:
    """What the heads of each layer do alone: rows of plots/ground_truth/layers.json.

    Returns
    -------
    list of dict
        layer, planted, effect (gain of p_correct, mean over the layer's heads) with its interval.
    """
    layer = np.array([layers[0] for layers in alone.layers], np.int64)
    return [
        {
            "layer": int(i),
            "planted": int(i) in planted,
            **stats.mean(alone.p_correct[layer == i].mean(axis=0), alone.subject, (-1, 1)).row(
                "effect"
            ),
        }
        for i in np.unique(layer)
    ]


def overlap(first: range, second: range) -> float:
    """Intersection over union of two ranges of layers: 1 where they agree, 0 where they are apart.

    Parameters
    ----------
    first, second : range
        Layers; neither is empty.
    """
    both = len(set(first) & set(second))
    return both / (len(first) + len(second) - both)


def window(best: dict[str, int] | None, planted: range, swept: Effects) -> BestWindow:
    """Score the best window, and those that cannot be told from it."""
    every = [overlap(layers, planted) for layers in swept.layers]
    by_chance = float(np.mean(every)) if every else None
    if best is None:
        return BestWindow(None, None, None, by_chance, None, 0)
    span = range(best["first_layer"], best["last_layer"] + 1)
    selection = swept.split == "selection"
    p_correct, subject = swept.p_correct[:, selection], swept.subject[selection]
    mine = p_correct[swept.layers.index(span)]
    behind = [stats.difference(mine, row, subject) for row in p_correct]
    as_good = {
        str(layers[0]): overlap(layers, planted)
        for layers, gap in zip(swept.layers, behind, strict=True)
        if gap.low is not None and gap.low <= 0
    }
    n = int(selection.sum())
    score = overlap(span, planted)
    return BestWindow(**best, overlap=score, by_chance=by_chance, as_good=as_good, n=n)


def heads(alone: Effects, planted: range) -> SingleHeads:
    """Score the effects of single heads: planted layers against the rest.

    Parameters
    ----------
    alone : Effects
        Of every head of the model.
    planted : range
        Layers.

    Returns
    -------
    SingleHeads

    References
    ----------
    Gupta et al., InterpBench, arXiv:2407.14494 (planted circuits as ground truth).
    """
    layer = np.array([layers[0] for layers in alone.layers], np.int64)
    inside, size = np.isin(layer, planted), len(planted)
    others = [
        float(ranking.area((layer >= first) & (layer < first + size), alone.p_correct.mean(axis=1)))
        for first in range(layer.max(initial=-1) + 2 - size)
        if abs(first - planted[0]) >= size
    ]
    return SingleHeads(
        auroc=auroc(alone.p_correct, inside, alone.subject),
        others=OtherBlocks(
            n_blocks=len(others),
            mean=float(np.mean(others)) if others else None,
            max=max(others, default=None),
        ),
        share=share(alone.p_correct, inside, alone.subject),
        share_by_chance=float(inside.mean()) if len(inside) else None,
        n_planted=int(inside.sum()),
        n_heads=len(layer),
    )


def auroc(
    effects: NDArray[np.float64], inside: NDArray[np.bool_], subject: NDArray[Any], seed: int = 0
) -> Interval:
    """How well mean effects tell some heads from the others: area under the ROC curve.

    Parameters
    ----------
    effects : ndarray of shape (n_heads, n_statements), float64
        Effect of each head alone on each statement.
    inside : ndarray of shape (n_heads,), bool
        The heads that should have the larger effects.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    seed : int
        Of the draws.

    Returns
    -------
    Interval
        Bootstrap of 2,000 draws, each of as many subjects and of as many heads inside and outside:
        another model would have other heads. n counts statements.
    """
    if not effects.size:
        return stats.NOTHING
    random = np.random.default_rng(seed)
    means = resample.means(effects, subject, random)
    some = ranking.drawn(inside, len(means), random)
    areas = ranking.area(inside[some], np.take_along_axis(means, some, axis=1))
    low, high = stats.bootstrapped(areas, len(set(subject)))
    value = float(ranking.area(inside, effects.mean(axis=1)))
    return Interval(value, low, high, effects.shape[1])


def share(
    effects: NDArray[np.float64], inside: NDArray[np.bool_], subject: NDArray[Any], seed: int = 0
) -> Interval:
    """Share of all positive mean effects that some heads have; parameters as in `auroc`.

    Returns
    -------
    Interval
        Bootstrap of 2,000 draws over subjects, of these very heads. n counts statements.
    """
    if not effects.size or not (effects.mean(axis=1) > 0).any():
        return stats.NOTHING
    drawn = resample.means(effects, subject, np.random.default_rng(seed))
    drawn = np.vstack([effects.mean(axis=1), drawn]).clip(min=0)
    total = np.maximum(drawn.sum(axis=1), np.finfo(float).tiny)  # a draw may have no positive one
    value, *draws = drawn[:, inside].sum(axis=1) / total
    low, high = stats.bootstrapped(np.array(draws), len(set(subject)))
    return Interval(float(value), low, high, effects.shape[1])


def head_set(chosen: list[list[int]], planted: range, alone: Effects) -> HeadSet:
    """Count the heads of the set that are in planted layers."""
    inside = [layers[0] in planted for layers in alone.layers]
    return HeadSet(
        n_heads=len(chosen),
        n_planted=sum(layer in planted for layer, _ in chosen),
        by_chance=float(np.mean(inside)) if inside else None,
    )


def parting(falls: pl.DataFrame, source: str, base: str) -> int | None:
    """Return the first layer after which two personas' truth directions have parted.

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
    return None if fall is None else fall - 1  # place i of the stream is the output of layer i - 1


def belief(probes: pl.DataFrame, layer: int, source: str, base: str) -> dict[str, Accuracy]:
    """How well truth is read from what enters a layer, in both runs.

    Parameters
    ----------
    probes : DataFrame
        With the columns of `probe_files.LAYERS`.
    layer : int
        The first planted one: what enters it no lie has touched.
    source, base : str
        Personas of the honest and of the lying run.

    Returns
    -------
    dict of str to Accuracy
        Each run's own probe, the source's on the base run, the base's with permuted labels.
    """
    wanted = {
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
        for name, (labels, fit, scored) in wanted.items()
    }


def window_gain(swept: Effects, best: dict[str, int] | None) -> Interval:
    """What the best window adds to accuracy on the report split.

    Parameters
    ----------
    swept : Effects
        Of all windows.
    best : dict or None
        The window that was chosen.
    """
    if best is None:
        return stats.NOTHING
    row = [layers[0] for layers in swept.layers].index(best["first_layer"])
    report = swept.split == "report"
    values = swept.accuracy[row, report]
    return stats.difference(values, np.zeros_like(values), swept.subject[report])


def set_gain(transplant: Path, pairs: Path) -> Interval:
    """What the head set adds to accuracy on the report split.

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
