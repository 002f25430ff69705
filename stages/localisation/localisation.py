"""Scores of what the pipeline found against the layers that a lie was planted in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from stages.lib import stats
from stages.lib.stats import Interval, resample
from stages.localisation.gains import Gains


def by_layer(alone: Gains, planted: list[int]) -> list[dict[str, Any]]:
    """What the heads of each layer do alone: rows of plots/localisation/layers.json.

    Returns
    -------
    list of dict
        layer, planted, effect (gain of truth, mean over the layer's heads) with its interval.
    """
    layer = np.array([layers[0] for layers in alone.layers], np.int64)
    return [
        {
            "layer": int(i),
            "planted": int(i) in planted,
            **stats.mean(alone.truth[layer == i].mean(axis=0), alone.subject, (-1, 1)).row(
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


def window(best: dict[str, Any] | None, planted: range, swept: Gains) -> dict[str, Any]:
    """Score the best window, and those that cannot be told from it.

    Returns
    -------
    dict
        ``overlap`` with the planted layers and, as control, its mean over all windows: what a
        window drawn at random has. ``as_good``: by first layer the overlap of each window whose
        truth on the statements that the best one was chosen on (n) is not below the best one's by
        more than chance. Nulls where no window was chosen.
    """
    every = [overlap(layers, planted) for layers in swept.layers]
    by_chance = float(np.mean(every)) if every else None
    if best is None:
        nulls = dict.fromkeys(("first_layer", "last_layer", "overlap", "as_good"))
        return {**nulls, "by_chance": by_chance, "n": 0}
    found = range(best["first_layer"], best["last_layer"] + 1)
    selection = swept.part == "selection"
    truth, subject = swept.truth[:, selection], swept.subject[selection]
    mine = truth[swept.layers.index(found)]
    behind = [stats.difference(mine, row, subject) for row in truth]
    as_good = {  # not a list of records: DVC would take that for a plot
        str(layers[0]): overlap(layers, planted)
        for layers, gap in zip(swept.layers, behind, strict=True)
        if gap.low is not None and gap.low <= 0
    }
    score = {"overlap": overlap(found, planted), "by_chance": by_chance}
    return {**best, **score, "as_good": as_good, "n": int(selection.sum())}


def heads(alone: Gains, planted: range) -> dict[str, Any]:
    """Score the effects of single heads: planted layers against the rest.

    Parameters
    ----------
    alone : Gains
        Of every head of the model.
    planted : range
        Layers.

    Returns
    -------
    dict
        ``auroc``: the chance that a head of the planted layers has a larger mean effect on truth
        than one of the rest, with its interval; ``others``: the same for every other block of as
        many layers that shares none with the planted ones, as control. ``share``: the part of all
        positive mean effects that heads of the planted layers have, with its interval, and
        ``share_by_chance``, their part of all heads.

    References
    ----------
    Gupta et al., InterpBench, arXiv:2407.14494 (planted circuits as ground truth).
    """
    layer = np.array([layers[0] for layers in alone.layers], np.int64)
    inside, size = np.isin(layer, planted), len(planted)
    others = [
        _area((layer >= first) & (layer < first + size), alone.truth.mean(axis=1))
        for first in range(layer.max(initial=-1) + 2 - size)
        if abs(first - planted[0]) >= size
    ]
    return {
        "auroc": auroc(alone.truth, inside, alone.subject).row(),
        "share": share(alone.truth, inside, alone.subject).row(),
        "share_by_chance": float(inside.mean()) if len(inside) else None,
        "n_planted": int(inside.sum()),
        "n_heads": len(layer),
        "others": {
            "n_blocks": len(others),
            "mean": float(np.mean(others)) if others else None,
            "max": max(others, default=None),
        },
    }


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
    groups = [np.flatnonzero(inside), np.flatnonzero(~inside)]
    areas = []
    for mean in resample.means(effects, subject, random):
        some = np.concatenate([random.choice(group, len(group)) for group in groups])
        areas.append(_area(inside[some], mean[some]))
    low, high = stats.bootstrapped(np.array(areas), len(set(subject)))
    return Interval(_area(inside, effects.mean(axis=1)), low, high, effects.shape[1])


def share(
    effects: NDArray[np.float64], inside: NDArray[np.bool_], subject: NDArray[Any], seed: int = 0
) -> Interval:
    """Part of all positive mean effects that some heads have; parameters as in `auroc`.

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


def head_set(chosen: list[list[int]], planted: range, alone: Gains) -> dict[str, Any]:
    """Count the heads of the set that are in planted layers, and what a set at random would have.

    Returns
    -------
    dict
        ``n_heads``, ``n_planted``, and ``by_chance``, the share of all heads that is planted.
    """
    inside = [layers[0] in planted for layers in alone.layers]
    return {
        "n_heads": len(chosen),
        "n_planted": sum(layer in planted for layer, _ in chosen),
        "by_chance": float(np.mean(inside)) if inside else None,
    }


def parting(cosine: dict[str, Any], source: str, base: str) -> int | None:
    """Return the first layer after which two personas' directions of truth have parted.

    Index i of the residual stream is the output of layer i - 1.

    Parameters
    ----------
    cosine : dict
        From metrics of `probes`.
    source, base : str
        Personas.
    """
    pairs = cosine["resid_post"]
    pair = pairs.get(source, {}).get(base) or pairs[base][source]
    fall = pair["falls_below_half"]
    return None if fall is None else fall - 1


def belief(rows: list[dict[str, Any]], layer: int, source: str, base: str) -> dict[str, Any]:
    """How well truth is read from what enters a layer, in both runs.

    Parameters
    ----------
    rows : list of dict
        plots/probes/layers.json.
    layer : int
        The first planted one: what enters it no lie has touched.
    source, base : str
        Personas of the honest and of the lying run.

    Returns
    -------
    dict
        Accuracy of each run's own probe, of the source's on the base run, and of the base's with
        permuted labels, each with its interval.
    """
    wanted = {
        "source": ("true", source, source),
        "base": ("true", base, base),
        "transfer": ("true", source, base),
        "permuted": ("permuted", base, base),
    }
    found = {
        (row["labels"], row["fit"], row["scored"]): row
        for row in rows
        if row["site"] == "resid_post" and row["layer"] == layer
    }
    keys = ("accuracy", "low", "high", "n")
    return {name: {key: found[place][key] for key in keys} for name, place in wanted.items()}


def gain(swept: Gains, best: dict[str, Any] | None, transplant: dict[str, Any]) -> dict[str, Any]:
    """What the best window and the head set add to accuracy on the report part.

    For the organism that never lies, an interval above 0 is a false alarm.

    Parameters
    ----------
    swept : Gains
        Of all windows.
    best : dict or None
        The window that was chosen.
    transplant : dict
        Metrics of that stage.

    Returns
    -------
    dict
        ``window`` and ``set``: the gain with its interval, and whether it is above 0.
    """
    added = stats.NOTHING
    if best is not None:
        row = [layers[0] for layers in swept.layers].index(best["first_layer"])
        report = swept.part == "report"
        values = swept.accuracy[row, report]
        added = stats.difference(values, np.zeros_like(values), swept.subject[report])
    found = {"window": added.row(), "set": transplant["gain"]["patched - base"]["accuracy"]}
    return {
        name: {**values, "above_zero": values["low"] is not None and values["low"] > 0}
        for name, values in found.items()
    }


def _area(inside: NDArray[np.bool_], effects: NDArray[np.float64]) -> float:
    """Area under the ROC curve."""
    return float(roc_auc_score(inside, effects))
