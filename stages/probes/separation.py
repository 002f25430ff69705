"""AUROC: how well a probe's direction separates true from false statements, at any threshold."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.probing.inputs import Inputs
from stages.lib.stats import NOTHING, Interval, bootstrap

SITE = "resid_post"


def by_layer(
    probe_inputs: Inputs, directions: NDArray[np.float32], personas: tuple[str, ...]
) -> dict[str, dict[str, dict[str, Interval]]]:
    """Measure the AUROC of residual-stream probes on the report split, by fit, scored and index.

    Parameters
    ----------
    probe_inputs : Inputs
        Statements and activations.
    directions : ndarray of shape (n_personas, n_layers + 1, d_model)
        Directions of the probes, by the persona that they were fitted on.
    personas : tuple of str
    """
    design = probe_inputs.design
    label, subject = design.labels[design.report], design.subjects[design.report]
    result: dict[str, dict[str, dict[str, Interval]]] = {
        fit: {scored: {} for scored in personas} for fit in personas
    }
    for layer in range(directions.shape[1]):
        x = probe_inputs.layer(SITE, layer)[:, design.report]
        for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
            result[fit][scored][str(layer)] = auroc(x[j] @ directions[i, layer], label, subject)
    return result


def auroc(
    score: NDArray[np.floating[Any]],
    label: NDArray[np.bool_],
    subject: NDArray[Any],
    seed: int = 0,
) -> Interval:
    """Estimate the AUROC: P(score of a true statement > score of a false one); ties count half.

    Parameters
    ----------
    score : ndarray of shape (n_statements,)
        Scores of one probe, such as activation @ direction.
    label : ndarray of shape (n_statements,), bool
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    Interval
        1 if every true statement scores above every false one, 0 if below: the same direction with
        the opposite sign. Bounds by bootstrap over subjects, from the draws that have both labels;
        by `stats.unless_agreed` where these draws agree. `NOTHING` without both labels, or if a
        score is NaN.
    """
    if not label.any() or label.all() or np.isnan(score).any():
        return NOTHING
    drawn_weights = bootstrap.weights(subject, np.random.default_rng(seed))
    weights = np.vstack([np.ones(len(subject)), drawn_weights])
    true_scores, false_scores = score[label][:, None], score[~label]
    wins = (true_scores > false_scores) + 0.5 * (true_scores == false_scores)
    true_weights, false_weights = weights[:, label], weights[:, ~label]
    pairs = true_weights.sum(axis=1) * false_weights.sum(axis=1)
    areas = ((true_weights @ wins) * false_weights).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    if len(areas) == 1:
        return Interval(float(areas[0]), 0.0, 1.0, len(label))
    interval = bootstrap.interval(areas[0], areas[1:], subject)
    return stats.unless_agreed(interval, len(np.unique(subject)), (0.0, 1.0), compared=2)
