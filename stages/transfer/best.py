"""Transfer of each method's best probe to other personas, topics and polarities."""

from collections.abc import Callable
from dataclasses import dataclass

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from stages.lib.probing import workers
from stages.transfer.estimators.linear import A_TOPIC, Linear
from stages.transfer.forms import Forms
from stages.transfer.layers import Place, permuted_accuracy, unit
from stages.transfer.sample import Sample

PLAIN, NEGATED, BOTH = "plain", "negated", "both"


@dataclass(frozen=True)
class Fit:
    """One probe that was fitted on some of the selection.

    Attributes
    ----------
    direction : ndarray of shape (d,), float64
        Unit vector.
    right : ndarray of shape (n_report,), float32
        Whether it is right on the report rows of the persona that it was fitted on.
    """

    direction: NDArray[np.float64]
    right: NDArray[np.float32]


@dataclass(frozen=True)
class Best:
    """One method of one persona at its best layer.

    Attributes
    ----------
    layer : int
    transfer : ndarray of shape (n_personas, n_report), float32
        Whether the probe is right on every persona's report rows.
    permuted : ndarray of shape (2, n_permutations), float64
        Accuracy on its own persona after a fit on permuted labels: on permuted labels, and on
        true ones. No draws where only the sign depends on labels.
    polarity : dict of str to Fit
        By what it was fitted on: plain, negated, both.
    topics : dict of str to Fit
        By the topic, or the topics of one family, that it was fitted on.
    """

    layer: int
    transfer: NDArray[np.float32]
    permuted: NDArray[np.float64]
    polarity: dict[str, Fit]
    topics: dict[str, Fit]


def examine(
    place: Callable[[int], Place], sample: Sample, at: NDArray[np.intp], n_jobs: int = -1
) -> dict[tuple[str, int], Best]:
    """What each method reads at its best layer: other personas, topics and polarities.

    Parameters
    ----------
    place : callable
        Gives the activations of a layer, (n_personas, n_statements, d).
    sample : Sample
    at : ndarray of shape (n_methods, n_personas), int
        From `layers.best`; nothing is done where it is -1.
    n_jobs : int
        Processes; -1 is all cores.

    Returns
    -------
    dict
        By method and number of the persona.
    """
    wanted = [
        (name, p, int(at[m, p]))
        for m, name in enumerate(sample.methods)
        for p in range(at.shape[1])
        if at[m, p] >= 0
    ]
    jobs = (joblib.delayed(examine_one)(place(at), sample, name, p, at) for name, p, at in wanted)
    best_layers: dict[tuple[str, int], Best] = {}
    results = tqdm(workers.each(jobs, n_jobs), total=len(wanted), desc="transfer", disable=None)
    for (name, p, _), one in zip(wanted, results, strict=True):
        best_layers[name, p] = one  # pyright: ignore[reportArgumentType]
    return best_layers


def examine_one(place: Place, sample: Sample, name: str, p: int, layer: int) -> Best:
    """One method of one persona at one layer; parameters as in `examine`."""
    design, method = sample.design, sample.methods[name]
    x = place[p, design.selection].astype(np.float64)
    report = place[:, design.report].astype(np.float64)
    forms, scored = sample.chosen, sample.scored
    polarity = {BOTH: np.ones_like(forms.negated)}
    if method.needs == A_TOPIC:
        polarity = {PLAIN: ~forms.negated, NEGATED: forms.negated} | polarity
    with threadpool_limits(1):
        method.fit(x, sample.y, forms)
        transfer = np.stack([method.predict(r, scored.negated) == sample.truth for r in report])
        permuted = np.empty((2, 0))
        if method.supervised:
            permuted = permuted_accuracy(method, x, report[p], sample)
        return Best(
            layer,
            transfer.astype(np.float32),
            permuted,
            {key: _fit(method, x, report[p], sample, rows) for key, rows in polarity.items()},
            {
                key: _fit(method, x, report[p], sample, np.isin(forms.topic, names))
                for key, names in groups(method, sample.forms).items()
            },
        )


def groups(method: Linear, forms: Forms) -> dict[str, list[str]]:
    """Topics, by name, that a method is fitted on one by one: alone, or with their negation."""
    named = forms.named()
    if method.needs == A_TOPIC:
        return {topic: [topic] for _, _, topic in named}
    result: dict[str, list[str]] = {}
    for family in dict.fromkeys(family for family, _, _ in named):
        topics = [topic for other, _, topic in named if other == family]
        result[" + ".join(topics)] = topics
    return result


def _fit(
    method: Linear, x: NDArray[np.float64], report: NDArray[np.float64], sample: Sample,
    rows: NDArray[np.bool_],
) -> Fit:  # fmt: skip
    """Fit on some rows of the selection; NaN where the method cannot be."""
    y, forms = sample.y[rows], sample.chosen[rows]
    if not method.can_fit(y, forms):
        return Fit(np.full(x.shape[1], np.nan), np.full(len(report), np.nan, np.float32))
    method.fit(x[rows], y, forms)
    right = method.predict(report, sample.scored.negated) == sample.truth
    return Fit(unit(method.coef_), right.astype(np.float32))
