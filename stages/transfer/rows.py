"""Plot tables of stage `transfer`."""

from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.probing.probe import cosines
from stages.lib.stats.answer_rates import ALL
from stages.transfer.best import NEGATED, PLAIN
from stages.transfer.config import NEEDED
from stages.transfer.fits import Fits, pairs, words
from stages.transfer.measured import readable_layers

TEXT = "statement text"  # in place of a persona, for the bag of words
BAG = "bag_of_tokens"


def layers(fits: Fits) -> list[Row]:
    """Accuracy of each persona's own probes by layer.

    Returns
    -------
    list of dict
        Columns method, persona, labels, layer, accuracy, low, high, n. Where `labels` is
        ``permuted``, accuracy is the mean over draws, and low and high are the least and greatest.
    """
    rows: list[Row] = []
    for m, method, p, persona in fits.probe_keys():
        for layer, correct in enumerate(fits.layers.correct[:, m, p]):
            names = {"method": method, "persona": persona, "labels": "true", "layer": layer}
            rows.append(names | fits.rate(correct).row("accuracy"))
        if method == NEEDED:
            for layer, draw_values in enumerate(fits.layers.permuted[:, p]):
                names = {"method": method, "persona": persona, "labels": "permuted", "layer": layer}
                rows.append(names | _spread(draw_values, len(fits.sample.truth)))
    return rows


def personas(fits: Fits) -> list[Row]:
    """Each persona's best probe, scored on every persona.

    Returns
    -------
    list of dict
        Columns method, fit, scored, layer, accuracy, low, high, n.
    """
    return [
        {"method": method, "fit": fits.personas[p], "scored": scored, "layer": best.layer}
        | fits.rate(correct).row("accuracy")
        for (method, p), best in fits.best.items()
        for scored, correct in zip(fits.personas, best.transfer, strict=True)
    ]


def polarity(fits: Fits) -> list[Row]:
    """Probes of plain statements, of negated ones and of both, scored on either.

    Returns
    -------
    list of dict
        Columns method, persona, layer, fit, scored, accuracy, low, high, n.
    """
    negated = fits.sample.scored.negated
    scored = {PLAIN: ~negated, NEGATED: negated}
    return [
        {"method": method, "persona": fits.personas[p], "layer": best.layer}
        | {"fit": fit, "scored": name}
        | fits.rate(probe.correct, rows).row("accuracy")
        for (method, p), best in fits.best.items()
        for fit, probe in best.polarity.items()
        for name, rows in scored.items()
    ]


def topics(fits: Fits, statements: pl.DataFrame) -> list[Row]:
    """Probes of each topic, or of a topic with its negation, scored on each topic.

    Rows of method ``bag_of_tokens`` are of the bag of words: fitted on all topics and scored on all
    and on each, or fitted and scored on one topic.

    Returns
    -------
    list of dict
        Columns method, persona, layer, fit, scored, accuracy, low, high, n. `layer` is None for
        words, and `persona` is ``statement text``.
    """
    scored = fits.sample.scored.topic
    names = fits.topics()
    rows = [
        {"method": method, "persona": fits.personas[p], "layer": best.layer}
        | {"fit": fit, "scored": name}
        | fits.rate(probe.correct, scored == name).row("accuracy")
        for (method, p), best in fits.best.items()
        for fit, probe in best.topics.items()
        for name in names
    ]
    for fit, name, correct in words(fits, statements):
        place = {"method": BAG, "persona": TEXT, "layer": None, "fit": fit, "scored": name}
        topic_rows = scored == name if name != ALL else np.ones_like(scored, bool)
        rows.append(place | fits.rate(correct, topic_rows).row("accuracy"))
    return rows


def cosine(fits: Fits) -> list[Row]:
    """Cosine of two personas' directions by layer.

    Returns
    -------
    list of dict
        Columns method, first, second, layer, cosine, low, high, reads. Mass-mean directions have an
        interval, over draws of subjects. `reads`: whether both personas' own probes read the truth
        at that layer; if they do not, a direction and its sign mean nothing.
    """
    rows: list[Row] = []
    reads = readable_layers(fits)
    for method, first, second, values, draw_values in pairs(fits):
        for layer, value in enumerate(values):
            low = high = None
            if draw_values is not None and not np.isnan(draw_values[layer]).any():
                low, high = stats.bootstrapped(draw_values[layer], fits.sample.draws.shape[1])
            names = {"method": method, "first": first, "second": second, "layer": layer}
            reads_both = bool(reads[method, first][layer] and reads[method, second][layer])
            columns = {"cosine": _number(value), "low": low, "high": high, "reads": reads_both}
            rows.append(names | columns)
    return rows


def cosine_topics(fits: Fits) -> list[Row]:
    """Cosine of the directions of two topics, at the best layer.

    Returns
    -------
    list of dict
        Columns method, persona, layer, first, second, cosine.
    """
    return [
        {"method": method, "persona": fits.personas[p], "layer": best.layer, **row}
        for (method, p), best in fits.best.items()
        for row in _between({name: fit.direction for name, fit in best.topics.items()})
    ]


def cosine_layers(fits: Fits) -> list[Row]:
    """Cosine of one persona's mass-mean directions at two layers.

    Returns
    -------
    list of dict
        Columns persona, first, second, cosine.
    """
    directions = fits.layers.directions[:, list(fits.sample.methods).index(NEEDED)]
    return [
        {"persona": persona, **row}
        for p, persona in enumerate(fits.personas)
        for row in _between(dict(enumerate(directions[:, p])))
    ]


def _spread(draw_values: NDArray[np.float32], n: int) -> dict[str, float | None]:
    """Return mean, least and greatest of the draws, as columns of a row."""
    if not len(draw_values) or np.isnan(draw_values).any():
        return stats.NOTHING.row("accuracy")
    low, high = float(draw_values.min()), float(draw_values.max())
    return {"accuracy": float(draw_values.mean(dtype=np.float64)), "low": low, "high": high, "n": n}


def _between(directions: dict[Any, NDArray[Any]]) -> list[Row]:
    """Compute the cosine of every two unit vectors."""
    names = list(directions)
    if len(names) < 2:
        return []
    values = cosines(np.stack([directions[name] for name in names]))
    return [
        {"first": names[i], "second": names[j], "cosine": _number(values[i, j])}
        for i, j in combinations(range(len(names)), 2)
    ]


def _number(value: float) -> float | None:
    """Convert to a float, or None for NaN."""
    return None if np.isnan(value) else float(value)
