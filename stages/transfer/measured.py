"""Metrics of stage `transfer`."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import Interval
from stages.lib.stats.answer_rates import ALL
from stages.transfer import parting
from stages.transfer.best import NEGATED, PLAIN, Best, groups
from stages.transfer.estimators.linear import A_FAMILY
from stages.transfer.fits import Fits, pairs, words
from stages.transfer.metrics import Control, Method, Parting, Spread


def methods(fits: Fits) -> dict[str, dict[str, Method | None]]:
    """Each method's best probe of each persona, beside its controls.

    Returns
    -------
    dict
        method -> persona -> Method. None where nothing could be fitted.
    """
    result: dict[str, dict[str, Method | None]] = {}
    for m, method, p, persona in fits.every():
        best = fits.best.get((method, p))
        result.setdefault(method, {})[persona] = _method(fits, m, p, best) if best else None
    return result


def bag_of_tokens(fits: Fits, statements: pl.DataFrame) -> dict[str, Interval]:
    """Accuracy of the bag of words, fitted on all topics: ``all``, and by topic."""
    scored = fits.sample.scored.topic
    return {
        name: fits.rate(right, np.ones_like(scored, bool) if name == ALL else scored == name)
        for fit, name, right in words(fits, statements)
        if fit == ALL
    }


def parts(fits: Fits) -> dict[str, dict[str, dict[str, Parting]]]:
    """Where cosines of two personas fall below 0.5, 0 and -0.5: method -> first -> second.

    Layers count where the interval of both personas' own probes of that method lies above the
    rate of the more frequent label, as in stage `probes`.
    """
    reads = readable_layers(fits)
    result: dict[str, dict[str, dict[str, Parting]]] = {}
    for method, first, second, values, drawn in pairs(fits):
        readable = reads[method, first] & reads[method, second]
        told = parting.parted(values, drawn, readable, fits.sample.draws.shape[1])
        result.setdefault(method, {}).setdefault(first, {})[second] = told
    return result


def readable_layers(fits: Fits) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Whether each persona's own probes of each method read the truth, (n_layers,)."""
    truth = fits.sample.truth
    commoner = max(truth.mean(), 1 - truth.mean()) if len(truth) else 1.0
    reads = {}
    for m, method, p, persona in fits.every():
        lows = [fits.rate(right).low for right in fits.layers.right[:, m, p]]
        reads[method, persona] = np.array(lows, float) > commoner  # NaN is not above
    return reads


def _method(fits: Fits, m: int, p: int, best: Best) -> Method:
    """One method's best probe of one persona, by their numbers."""
    method, design = list(fits.sample.methods)[m], fits.sample.design
    held_out = fits.layers.held_out[best.layer, m, p]
    accuracy = fits.rate(best.transfer[p])
    return Method(
        layer=best.layer,
        held_out=stats.rate(held_out, design.subjects[design.selection]),
        accuracy=accuracy,
        permuted=_control(accuracy.value, best.permuted[0]),
        fit_on_permuted=_spread(best.permuted[1]),
        transfer={
            other: fits.rate(right)
            for other, right in zip(fits.personas, best.transfer, strict=True)
            if other != fits.personas[p]
        },
        topics=_relations(fits, method, best),
        polarity=_polarities(fits, best),
    )


def _relations(fits: Fits, method: str, best: Best) -> dict[str, Interval]:
    """Accuracy of probes of single topics on their own topic, its negation and other families.

    Each statement counts with the fraction of probes that are right on it.
    """
    forms = fits.sample.scored
    members = groups(fits.sample.methods[method], fits.sample.forms)
    families = {topic: family for family, _, topic in fits.sample.forms.named()}
    right: dict[str, list[NDArray[np.float64]]] = {}
    for fit, topics in members.items():
        own, same = np.isin(forms.topic, topics), forms.family == families[topics[0]]
        for name, rows in (("own", own), ("negation", same & ~own), ("other_topics", ~same)):
            right.setdefault(name, []).append(np.where(rows, best.topics[fit].right, np.nan))
    if fits.sample.methods[method].needs == A_FAMILY:
        del right["negation"]  # it was fitted on it
    return {name: _pooled(fits, np.array(each)) for name, each in right.items()}


def _pooled(fits: Fits, right: NDArray[np.float64]) -> Interval:
    """Interval of the share of probes (n_probes, n_report) that are right; NaN does not count."""
    counted = ~np.isnan(right)
    rows = np.asarray(counted.any(axis=0))
    share = np.full(len(rows), np.nan)
    share[rows] = np.where(counted, right, 0).sum(axis=0)[rows] / counted.sum(axis=0)[rows]
    return fits.rate(share, rows)


def _polarities(fits: Fits, best: Best) -> dict[str, dict[str, Interval]]:
    """Accuracy by what was fitted on, and by what is scored."""
    negated = fits.sample.scored.negated
    return {
        fit: {
            name: fits.rate(one.right, rows)
            for name, rows in ((PLAIN, ~negated), (NEGATED, negated))
        }
        for fit, one in best.polarity.items()
    }


def _spread(accuracy: NDArray[np.float64]) -> Spread | None:
    """Mean, least and greatest of the draws; None where there are none."""
    if not len(accuracy):
        return None
    return Spread(float(accuracy.mean()), float(accuracy.min()), float(accuracy.max()))


def _control(accuracy: float | None, permuted: NDArray[np.float64]) -> Control | None:
    """Fits on permuted labels beside the fit on true ones; None where there are none."""
    if accuracy is None or not len(permuted):
        return None
    p = (1 + int((permuted >= accuracy).sum())) / (1 + len(permuted))
    return Control(float(permuted.mean()), float(permuted.max()), p, len(permuted))
