"""Fit every method at every layer of the residual stream.

Pure maths on arrays. A *place* holds all personas' activations at one layer. Probes are fitted on
selection rows alone, and scored on report rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import joblib
import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm import tqdm

from stages.lib.probing import workers
from stages.transfer import divergence
from stages.transfer.config import NEEDED
from stages.transfer.estimators.linear import Linear
from stages.transfer.sample import Sample

DRAWN = {NEEDED: False, "mass_mean_corrected": True}
"""Methods that are refitted in draws of subjects, and whether with the covariance correction."""

Place = NDArray[np.float32]


@dataclass(frozen=True)
class Layers:
    """All methods at one layer, or, stacked along a first axis, at all layers.

    NaN where a method cannot be fitted.

    Attributes
    ----------
    directions : ndarray of shape (n_methods, n_personas, d), float32
        Unit vectors; 0 where activations do not vary.
    held_out : ndarray of shape (n_methods, n_personas, n_selection), float32
        Whether the probe fitted on the other folds of the selection is correct.
    correct : ndarray of shape (n_methods, n_personas, n_report), float32
        Whether the probe is correct on its own persona's report rows.
    permuted : ndarray of shape (n_personas, n_permutations), float32
        Accuracy of mass-mean probes fitted and scored on permuted labels.
    cosines : ndarray of shape (n_drawn, n_pairs, n_draws + 1), float32
        Cosine of two personas' directions, first on the selection, then in draws of its subjects,
        for the methods of `DRAWN` in their order.
    """

    directions: NDArray[np.float32]
    held_out: NDArray[np.float32]
    correct: NDArray[np.float32]
    permuted: NDArray[np.float32]
    cosines: NDArray[np.float32]


def sweep(places: Iterable[Place], sample: Sample, n_layers: int, n_jobs: int = -1) -> Layers:
    """Fit every method at every layer, in parallel; numbers do not depend on `n_jobs`.

    Parameters
    ----------
    places : iterable of ndarray of shape (n_personas, n_statements, d), float32
        Raw activations, layer by layer.
    sample : Sample
    n_layers : int
        Number of places.
    n_jobs : int
        Number of processes; -1 uses all cores.

    Returns
    -------
    Layers
        Every array has a first axis of n_layers.
    """
    jobs = (joblib.delayed(fit_layer)(place, sample) for place in places)
    results = workers.run_jobs(jobs, n_jobs)
    by_layer = list(tqdm(results, total=n_layers, desc="methods by layer", disable=None))
    return Layers(
        **{key: np.stack([getattr(layer, key) for layer in by_layer]) for key in vars(by_layer[0])}
    )


def fit_layer(place: Place, sample: Sample) -> Layers:
    """Fit every method on each persona at one layer.

    Parameters
    ----------
    place : ndarray of shape (n_personas, n_statements, d), float32
    sample : Sample
    """
    design, n_personas, d = sample.design, len(place), place.shape[-1]
    x, y, forms = place[:, design.selection].astype(np.float64), sample.y, sample.selection_forms
    report = place[:, design.report].astype(np.float64)
    size = (len(sample.methods), n_personas)
    directions = np.full((*size, d), np.nan, np.float32)
    held_out = np.full((*size, len(y)), np.nan, np.float32)
    correct = np.full((*size, len(design.report)), np.nan, np.float32)
    permuted = np.full((n_personas, len(sample.permuted[0])), np.nan, np.float32)
    with threadpool_limits(1):  # sums in BLAS depend on the number of threads
        for m, (name, method) in enumerate(sample.methods.items()):
            for p in range(n_personas):
                if not method.can_fit(y, forms):
                    continue
                method.fit(x[p], y, forms)
                directions[m, p] = unit(method.coef_)
                correct[m, p] = method.predict(report[p], sample.scored.negated) == sample.truth
                held_out[m, p] = _held_out(method, x[p], sample)
                if name == NEEDED:
                    permuted[p] = permuted_accuracy(method, x[p], report[p], sample)[0]
        subjects = design.subjects[design.selection]
        drawn_cosines = [
            divergence.cosines(x, y, subjects, sample.draws, how) for how in DRAWN.values()
        ]
    return Layers(directions, held_out, correct, permuted, np.stack(drawn_cosines))


def best(layers: Layers) -> NDArray[np.intp]:
    """Choose the layer of highest held-out accuracy, (n_methods, n_personas).

    Of equally good layers the first; -1 without folds, or where a method cannot be fitted.
    """
    if not layers.held_out.shape[-1]:
        return np.full(layers.held_out.shape[1:3], -1, np.intp)
    share = layers.held_out.mean(axis=-1)  # (n_layers, n_methods, n_personas)
    missing = np.isnan(share).any(axis=0)
    return np.where(missing, -1, np.where(np.isnan(share), -1, share).argmax(axis=0))


def permuted_accuracy(
    method: Linear, x: NDArray[np.float64], report: NDArray[np.float64], sample: Sample
) -> NDArray[np.float64]:
    """Score fits on permuted labels, on the report split, (2, n_permutations).

    The first row is the accuracy on permuted labels, the second on true labels.
    """
    forms, negated = sample.selection_forms, sample.scored.negated
    correct = np.empty((2, len(sample.permuted[0])))
    for draw, (fitted, scored) in enumerate(zip(*sample.permuted, strict=True)):
        predictions = method.fit(x, fitted, forms).predict(report, negated)
        correct[:, draw] = np.mean(predictions == scored), np.mean(predictions == sample.truth)
    return correct


def unit(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale a vector to length 1; the zero vector stays 0."""
    return vector / (np.linalg.norm(vector) or 1.0)


def _held_out(method: Linear, x: NDArray[np.float64], sample: Sample) -> NDArray[np.float32]:
    """Cross-validate on the selection, (n_selection,); NaN unless all folds can be fitted."""
    y, forms = sample.y, sample.selection_forms
    correct = np.full(len(y), np.nan, np.float32)
    for train, test in sample.design.folds:
        if not method.can_fit(y[train], forms[train]):
            return np.full(len(y), np.nan, np.float32)
        method.fit(x[train], y[train], forms[train])
        correct[test] = method.predict(x[test], forms.negated[test]) == y[test]
    return correct
