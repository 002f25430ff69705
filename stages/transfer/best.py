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
    """One probe, fitted on a subset of the selection split.

    Attributes
    ----------
    direction : ndarray of shape (d,), float64
        Unit vector.
    correct : ndarray of shape (n_report,), float32
        Whether the probe is correct on the report rows of the persona that it was fitted on.
    """

    direction: NDArray[np.float64]
    correct: NDArray[np.float32]


@dataclass(frozen=True)
class Best:
    """One method of one persona at its best layer.

    Attributes
    ----------
    layer : int
    transfer : ndarray of shape (n_personas, n_report), float32
        Whether the probe is correct on every persona's report rows.
    permuted : ndarray of shape (2, n_permutations), float64
        Accuracy of fits on permuted labels, on the probe's own persona: scored on permuted labels,
        and on true labels. Without draws where labels decide the sign alone.
    polarity : dict of str to Fit
        Probes by the statements that they were fitted on: plain, negated, both.
    topics : dict of str to Fit
        Probes by the topic, or the topics of one family, that they were fitted on.
    """

    layer: int
    transfer: NDArray[np.float32]
    permuted: NDArray[np.float64]
    polarity: dict[str, Fit]
    topics: dict[str, Fit]


def examine(
    place: Callable[[int], Place], sample: Sample, at: NDArray[np.intp], n_jobs: int = -1
) -> dict[tuple[str, int], Best]:
    """Score each method's best layer on other personas, topics and polarities.

    Parameters
    ----------
    place : callable
        Returns the activations of a layer, (n_personas, n_statements, d).
    sample : Sample
    at : ndarray of shape (n_methods, n_personas), int
        Layers, from `layers.best`; -1 is skipped.
    n_jobs : int
        Number of processes; -1 uses all cores.

    Returns
    -------
    dict
        By name of the method and index of the persona.
    """
    probe_keys = [
        (name, p, int(at[m, p]))
        for m, name in enumerate(sample.methods)
        for p in range(at.shape[1])
        if at[m, p] >= 0
    ]
    jobs = (
        joblib.delayed(examine_one)(place(at), sample, name, p, at) for name, p, at in probe_keys
    )
    best_layers: dict[tuple[str, int], Best] = {}
    results = tqdm(
        workers.run_jobs(jobs, n_jobs), total=len(probe_keys), desc="transfer", disable=None
    )
    for (name, p, _), best_fit in zip(probe_keys, results, strict=True):
        best_layers[name, p] = best_fit  # pyright: ignore[reportArgumentType]
    return best_layers


def examine_one(place: Place, sample: Sample, name: str, p: int, layer: int) -> Best:
    """Examine one method of one persona at one layer, whose activations are `place`."""
    design, method = sample.design, sample.methods[name]
    x = place[p, design.selection].astype(np.float64)
    report = place[:, design.report].astype(np.float64)
    forms, scored = sample.selection_forms, sample.scored
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
    """Group topics as a method is fitted on them: each alone, or each with its negated form."""
    topic_names = forms.topic_names()
    if method.needs == A_TOPIC:
        return {topic: [topic] for _, _, topic in topic_names}
    result: dict[str, list[str]] = {}
    for family in dict.fromkeys(family for family, _, _ in topic_names):
        topics = [topic for topic_family, _, topic in topic_names if topic_family == family]
        result[" + ".join(topics)] = topics
    return result


def _fit(
    method: Linear, x: NDArray[np.float64], report: NDArray[np.float64], sample: Sample,
    rows: NDArray[np.bool_],
) -> Fit:  # fmt: skip
    """Fit on some rows of the selection; NaN if the method cannot be fitted on them."""
    y, forms = sample.y[rows], sample.selection_forms[rows]
    if not method.can_fit(y, forms):
        return Fit(np.full(x.shape[1], np.nan), np.full(len(report), np.nan, np.float32))
    method.fit(x[rows], y, forms)
    correct = method.predict(report, sample.scored.negated) == sample.truth
    return Fit(unit(method.coef_), correct.astype(np.float32))
