"""What stage `transfer` reports: plot tables and metrics from fitted probes."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import ArrayLike, NDArray

from stages.lib import bag, parting, stats
from stages.lib.probe import cosines
from stages.lib.stats import Interval
from stages.lib.transfer import DRAWN, NEEDED, NEGATED, PLAIN, Best, Layers, Sample, groups

Rows = list[dict[str, Any]]
TEXT = "statement text"  # in place of a persona: what a statement's words tell on their own
BAG = "bag_of_tokens"
ALL = "all"


@dataclass(frozen=True)
class Found:
    """All that was fitted.

    Attributes
    ----------
    layers : Layers
        Every method at every layer.
    best : dict
        From `transfer.examine`.
    sample : Sample
    personas : tuple of str
    """

    layers: Layers
    best: dict[tuple[str, int], Best]
    sample: Sample
    personas: tuple[str, ...]

    def every(self) -> Iterator[tuple[int, str, int, str]]:
        """Each method and persona: number and name of both."""
        for m, method in enumerate(self.sample.methods):
            for p, persona in enumerate(self.personas):
                yield m, method, p, persona

    def rate(self, right: ArrayLike, rows: NDArray[np.bool_] | None = None) -> Interval:
        """Interval of the share right on report rows, or on some of them."""
        values = np.asarray(right, np.float64)
        subjects = self.sample.design.subjects[self.sample.design.report]
        if rows is not None:
            values, subjects = values[rows], subjects[rows]
        if np.isnan(values).any():
            return stats.NOTHING
        whole = np.isin(values, (0.0, 1.0)).all()
        return stats.rate(values, subjects) if whole else stats.mean(values, subjects)


def layers(found: Found) -> Rows:
    """Accuracy of each persona's own probes by layer.

    Returns
    -------
    list of dict
        Columns method, persona, labels, layer, accuracy, low, high, n. Where `labels` is
        ``permuted``, accuracy is the mean over draws, and low and high are the least and greatest.
    """
    rows = []
    for m, method, p, persona in found.every():
        for layer, right in enumerate(found.layers.right[:, m, p]):
            names = {"method": method, "persona": persona, "labels": "true", "layer": layer}
            rows.append(names | found.rate(right).row("accuracy"))
        if method == NEEDED:
            for layer, drawn in enumerate(found.layers.permuted[:, p]):
                names = {"method": method, "persona": persona, "labels": "permuted", "layer": layer}
                rows.append(names | _spread(drawn, len(found.sample.truth)))
    return rows


def personas(found: Found) -> Rows:
    """Each persona's best probe, scored on every persona.

    Returns
    -------
    list of dict
        Columns method, fit, scored, layer, accuracy, low, high, n.
    """
    return [
        {"method": method, "fit": found.personas[p], "scored": scored, "layer": best.layer}
        | found.rate(right).row("accuracy")
        for (method, p), best in found.best.items()
        for scored, right in zip(found.personas, best.transfer, strict=True)
    ]


def polarity(found: Found) -> Rows:
    """Probes of plain statements, of negated ones and of both, scored on either.

    Returns
    -------
    list of dict
        Columns method, persona, layer, fit, scored, accuracy, low, high, n.
    """
    negated = found.sample.scored.negated
    scored = {PLAIN: ~negated, NEGATED: negated}
    return [
        {"method": method, "persona": found.personas[p], "layer": best.layer}
        | {"fit": fit, "scored": name}
        | found.rate(one.right, rows).row("accuracy")
        for (method, p), best in found.best.items()
        for fit, one in best.polarity.items()
        for name, rows in scored.items()
    ]


def splits(found: Found, statements: pl.DataFrame) -> Rows:
    """Probes of each split, or of a split with its negation, scored on each split.

    Beside them, as method ``bag_of_tokens``, the words of the statements alone: fitted on all
    splits or on one, scored on it.

    Returns
    -------
    list of dict
        Columns method, persona, layer, fit, scored, accuracy, low, high, n. `layer` is None for
        words, and `persona` is ``statement text``.
    """
    scored = found.sample.scored.split
    names = _splits(found)
    rows = [
        {"method": method, "persona": found.personas[p], "layer": best.layer}
        | {"fit": fit, "scored": name}
        | found.rate(one.right, scored == name).row("accuracy")
        for (method, p), best in found.best.items()
        for fit, one in best.splits.items()
        for name in names
    ]
    for fit, name, right in words(found, statements):
        place = {"method": BAG, "persona": TEXT, "layer": None, "fit": fit, "scored": name}
        chosen = scored == name if name != ALL else np.ones_like(scored, bool)
        rows.append(place | found.rate(right, chosen).row("accuracy"))
    return rows


def words(found: Found, statements: pl.DataFrame) -> Iterator[tuple[str, str, NDArray[np.float32]]]:
    """What was fitted on, what is scored, and whether words alone are right on report rows."""
    design, forms = found.sample.design, found.sample.chosen
    text = statements["statement"].to_numpy().astype(str)
    everything = bag.right(text, design.labels, design.selection, design.report)
    yield ALL, ALL, everything
    for split in _splits(found):
        yield ALL, split, everything
        own = design.selection[forms.split == split]
        yield split, split, bag.right(text, design.labels, own, design.report)


def cosine(found: Found) -> Rows:
    """Cosine of two personas' directions by layer.

    Returns
    -------
    list of dict
        Columns method, first, second, layer, cosine, low, high. An interval, over draws of
        subjects, is given for mass-mean directions.
    """
    rows = []
    for method, first, second, values, drawn in _pairs(found):
        for layer, value in enumerate(values):
            low = high = None
            if drawn is not None and not np.isnan(drawn[layer]).any():
                low, high = stats.bootstrapped(drawn[layer], found.sample.draws.shape[1])
            names = {"method": method, "first": first, "second": second, "layer": layer}
            rows.append(names | {"cosine": _number(value), "low": low, "high": high})
    return rows


def cosine_splits(found: Found) -> Rows:
    """Cosine of the directions of two splits, at the best layer.

    Returns
    -------
    list of dict
        Columns method, persona, layer, first, second, cosine.
    """
    return [
        {"method": method, "persona": found.personas[p], "layer": best.layer, **row}
        for (method, p), best in found.best.items()
        for row in _between({name: fit.direction for name, fit in best.splits.items()})
    ]


def cosine_layers(found: Found) -> Rows:
    """Cosine of one persona's mass-mean directions at two layers.

    Returns
    -------
    list of dict
        Columns persona, first, second, cosine.
    """
    directions = found.layers.directions[:, list(found.sample.methods).index(NEEDED)]
    return [
        {"persona": persona, **row}
        for p, persona in enumerate(found.personas)
        for row in _between(dict(enumerate(directions[:, p])))
    ]


def methods(found: Found) -> dict[str, Any]:
    """Each method's best probe of each persona, beside its controls.

    Returns
    -------
    dict
        method -> persona -> ``layer``; ``held_out`` (cross-validated on the selection part; it
        chose the layer and is too high by that); ``accuracy`` on the report part; ``permuted``
        (labels of both parts permuted within splits; ``p`` counts draws as good as the true
        labels) and ``fit_on_permuted`` (the same fits, scored on true labels: where truth is the
        main axis of variation, any labels find it, with either sign); ``transfer`` to each other
        persona; ``splits``; ``polarity``. None where nothing could be
        fitted.
    """
    result: dict[str, Any] = {}
    for m, method, p, persona in found.every():
        best = found.best.get((method, p))
        entry: dict[str, Any] | None = None
        if best:
            own = found.rate(best.transfer[p])
            chosen = found.sample.design.subjects[found.sample.design.selection]
            others = {
                other: found.rate(right).row()
                for other, right in zip(found.personas, best.transfer, strict=True)
                if other != persona
            }
            entry = {
                "layer": best.layer,
                "held_out": stats.rate(found.layers.held_out[best.layer, m, p], chosen).row(),
                "accuracy": own.row(),
                "permuted": _control(own.value, best.permuted[0]),
                "fit_on_permuted": _control(own.value, best.permuted[1]),
                "transfer": others,
                "splits": _relations(found, method, best),
                "polarity": _polarities(found, best),
            }
        result.setdefault(method, {})[persona] = entry
    return result


def bag_of_tokens(found: Found, statements: pl.DataFrame) -> dict[str, Any]:
    """How well words alone tell, fitted on all splits: ``all``, and by split."""
    scored = found.sample.scored.split
    return {
        name: found.rate(right, np.ones_like(scored, bool) if name == ALL else scored == name).row()
        for fit, name, right in words(found, statements)
        if fit == ALL
    }


def parts(found: Found) -> dict[str, Any]:
    """Where two personas' directions part, turn and are opposite.

    Layers count where the interval of both personas' own probes of that method lies above the
    share of the commoner label, as in stage `probes`.

    Returns
    -------
    dict
        method -> first -> second -> what `parting.parted` tells.
    """
    truth, personas = found.sample.truth, list(found.personas)
    commoner = max(truth.mean(), 1 - truth.mean()) if len(truth) else 1.0
    reads = {}  # (n_layers,) of each method and persona
    for m, method, p, persona in found.every():
        lows = [found.rate(right).low for right in found.layers.right[:, m, p]]
        reads[method, persona] = np.array(lows, float) > commoner  # NaN is not above
    result: dict[str, Any] = {
        method: {one: {} for one in personas[:-1]} for method in found.sample.methods
    }
    for method, first, second, values, drawn in _pairs(found):
        readable = reads[method, first] & reads[method, second]
        told = parting.parted(values, drawn, readable, found.sample.draws.shape[1])
        result[method][first][second] = told
    return result


def _pairs(
    found: Found,
) -> Iterator[tuple[str, str, str, NDArray[np.float64], NDArray[np.float64] | None]]:
    """Method, two personas, their cosine by layer (n_layers,), and draws (n_layers, n_draws)."""
    for m, method in enumerate(found.sample.methods):
        between = cosines(found.layers.directions[:, m])  # (n_layers, n_personas, n_personas)
        drawn = None
        if method in DRAWN:
            drawn = found.layers.cosines[:, list(DRAWN).index(method), :, 1:].astype(np.float64)
        for pair, (i, j) in enumerate(combinations(range(len(found.personas)), 2)):
            own = None if drawn is None or not drawn.shape[-1] else drawn[:, pair]
            yield method, found.personas[i], found.personas[j], between[:, i, j], own


def _relations(found: Found, method: str, best: Best) -> dict[str, Any]:
    """How probes of single splits do on their own, on its negation and on other topics.

    A statement counts with the share of probes that are right on it.
    """
    forms = found.sample.scored
    members = groups(found.sample.methods[method], found.sample.forms)
    topics = {split: topic for topic, _, split in found.sample.forms.named()}
    right: dict[str, list[NDArray[np.float64]]] = {}
    for fit, splits in members.items():
        own, same = np.isin(forms.split, splits), forms.topic == topics[splits[0]]
        for name, rows in (("own", own), ("negation", same & ~own), ("other_topics", ~same)):
            right.setdefault(name, []).append(np.where(rows, best.splits[fit].right, np.nan))
    return {name: _pooled(found, np.array(each)).row() for name, each in right.items()}


def _pooled(found: Found, right: NDArray[np.float64]) -> Interval:
    """Interval of the share of probes (n_probes, n_report) that are right; NaN does not count."""
    counted = ~np.isnan(right)
    rows = counted.any(axis=0)
    share = np.full(len(rows), np.nan)
    share[rows] = np.where(counted, right, 0).sum(axis=0)[rows] / counted.sum(axis=0)[rows]
    return found.rate(share, rows)


def _polarities(found: Found, best: Best) -> dict[str, Any]:
    """Accuracy by what was fitted on, and by what is scored."""
    negated = found.sample.scored.negated
    return {
        fit: {
            name: found.rate(one.right, rows).row()
            for name, rows in ((PLAIN, ~negated), (NEGATED, negated))
        }
        for fit, one in best.polarity.items()
    }


def _control(accuracy: float | None, permuted: NDArray[np.float64]) -> dict[str, Any] | None:
    """Fits on permuted labels beside the fit on true ones; None where there are none."""
    if accuracy is None or not len(permuted):
        return None
    as_good = int((permuted >= accuracy).sum())
    return {
        "mean": float(permuted.mean()),
        "max": float(permuted.max()),
        "p": (1 + as_good) / (1 + len(permuted)),
        "draws": len(permuted),
    }


def _spread(drawn: NDArray[np.float32], n: int) -> dict[str, Any]:
    """Mean, least and greatest of the draws, as columns of a row."""
    if not len(drawn) or np.isnan(drawn).any():
        return stats.NOTHING.row("accuracy")
    low, high = float(drawn.min()), float(drawn.max())
    return {"accuracy": float(drawn.mean(dtype=np.float64)), "low": low, "high": high, "n": n}


def _between(directions: dict[Any, NDArray[Any]]) -> Rows:
    """Cosines of every two of some unit vectors."""
    names = list(directions)
    if len(names) < 2:
        return []
    values = cosines(np.stack([directions[name] for name in names]))
    return [
        {"first": names[i], "second": names[j], "cosine": _number(values[i, j])}
        for i, j in combinations(range(len(names)), 2)
    ]


def _splits(found: Found) -> list[str]:
    """All splits, each beside its negation."""
    return [split for _, _, split in found.sample.forms.named()]


def _number(value: float) -> float | None:
    """A float, None for NaN."""
    return None if np.isnan(value) else float(value)
