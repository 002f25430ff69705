"""Metrics of stage `transfer`."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import Interval
from stages.lib.stats.answer_rates import ALL
from stages.transfer import divergence
from stages.transfer.best import NEGATED, PLAIN, Best, groups
from stages.transfer.estimators.linear import A_FAMILY
from stages.transfer.fits import Fits, pairs, words
from stages.transfer.metrics import Control, Divergence, Method, Spread


def methods(fits: Fits) -> dict[str, dict[str, Method | None]]:
    """Score each method's best probe of each persona, beside its controls.

    Returns
    -------
    dict
        method -> persona -> Method. None where nothing could be fitted.
    """
    result: dict[str, dict[str, Method | None]] = {}
    for m, method, p, persona in fits.probe_keys():
        best = fits.best.get((method, p))
        result.setdefault(method, {})[persona] = _method(fits, m, p, best) if best else None
    return result


def bag_of_tokens(fits: Fits, statements: pl.DataFrame) -> dict[str, Interval]:
    """Score the bag of words that is fitted on all topics: on ``all``, and by topic."""
    scored = fits.sample.scored.topic
    return {
        name: fits.rate(correct, np.ones_like(scored, bool) if name == ALL else scored == name)
        for fit, name, correct in words(fits, statements)
        if fit == ALL
    }


def divergences(fits: Fits) -> dict[str, dict[str, dict[str, Divergence]]]:
    """Find where the cosine of two personas' directions falls below 0.5, 0 and -0.5.

    A layer counts if the accuracy of both personas' own probes of that method lies, with its
    interval, above the rate of the more frequent label, as in stage `probes`.

    Returns
    -------
    dict
        method -> first persona -> second persona -> Divergence.
    """
    reads = readable_layers(fits)
    result: dict[str, dict[str, dict[str, Divergence]]] = {}
    for method, first, second, values, drawn_cosines in pairs(fits):
        readable = reads[method, first] & reads[method, second]
        result.setdefault(method, {}).setdefault(first, {})[second] = divergence.measure(
            values, drawn_cosines, readable, fits.sample.draws.shape[1]
        )
    return result


def readable_layers(fits: Fits) -> dict[tuple[str, str], NDArray[np.bool_]]:
    """Say in which layers each persona's own probes of each method read the truth, (n_layers,)."""
    truth = fits.sample.truth
    majority_rate = max(truth.mean(), 1 - truth.mean()) if len(truth) else 1.0
    reads = {}
    for m, method, p, persona in fits.probe_keys():
        lows = [fits.rate(correct).low for correct in fits.layers.correct[:, m, p]]
        reads[method, persona] = np.array(lows, float) > majority_rate  # NaN: no interval
    return reads


def _method(fits: Fits, m: int, p: int, best: Best) -> Method:
    """Score one method's best probe of one persona, by their indices."""
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
            scored_persona: fits.rate(correct)
            for scored_persona, correct in zip(fits.personas, best.transfer, strict=True)
            if scored_persona != fits.personas[p]
        },
        topics=_relations(fits, method, best),
        polarity=_polarities(fits, best),
    )


def _relations(fits: Fits, method: str, best: Best) -> dict[str, Interval]:
    """Score single-topic probes on their own topic, its negation and other families.

    Each statement counts with the fraction of probes that are correct on it.
    """
    forms = fits.sample.scored
    members = groups(fits.sample.methods[method], fits.sample.forms)
    families = {topic: family for family, _, topic in fits.sample.forms.topic_names()}
    correct: dict[str, list[NDArray[np.float64]]] = {}
    for fit, topics in members.items():
        own_topics, same_family = np.isin(forms.topic, topics), forms.family == families[topics[0]]
        for name, rows in (
            ("own", own_topics),
            ("negation", same_family & ~own_topics),
            ("other_topics", ~same_family),
        ):
            correct.setdefault(name, []).append(np.where(rows, best.topics[fit].correct, np.nan))
    if fits.sample.methods[method].needs == A_FAMILY:
        del correct["negation"]  # the probe was fitted on it
    return {name: _pooled(fits, np.array(by_probe)) for name, by_probe in correct.items()}


def _pooled(fits: Fits, correct: NDArray[np.float64]) -> Interval:
    """Estimate the share of probes that are correct, (n_probes, n_report); NaN does not count."""
    counted = ~np.isnan(correct)
    rows = np.asarray(counted.any(axis=0))
    share = np.full(len(rows), np.nan)
    share[rows] = np.where(counted, correct, 0).sum(axis=0)[rows] / counted.sum(axis=0)[rows]
    return fits.rate(share, rows)


def _polarities(fits: Fits, best: Best) -> dict[str, dict[str, Interval]]:
    """Score probes by the polarity that they were fitted on, and by the polarity scored."""
    negated = fits.sample.scored.negated
    return {
        fit: {
            name: fits.rate(probe.correct, rows)
            for name, rows in ((PLAIN, ~negated), (NEGATED, negated))
        }
        for fit, probe in best.polarity.items()
    }


def _spread(accuracy: NDArray[np.float64]) -> Spread | None:
    """Return mean, least and greatest of the draws; None without draws."""
    if not len(accuracy):
        return None
    return Spread(float(accuracy.mean()), float(accuracy.min()), float(accuracy.max()))


def _control(accuracy: float | None, permuted: NDArray[np.float64]) -> Control | None:
    """Compare fits on permuted labels with the fit on true labels; None without such fits."""
    if accuracy is None or not len(permuted):
        return None
    p = (1 + int((permuted >= accuracy).sum())) / (1 + len(permuted))
    return Control(float(permuted.mean()), float(permuted.max()), p, len(permuted))
