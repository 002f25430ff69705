"""How well a probe's direction separates true from false statements, wherever its threshold is."""

from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.probing.inputs import Inputs
from stages.lib.stats import NOTHING, Interval

SITE = "resid_post"


def by_layer(
    given: Inputs, directions: NDArray[np.float32], personas: tuple[str, ...]
) -> dict[str, dict[str, dict[str, Interval]]]:
    """AUROC of the probes of the residual stream on the report split, by fit, scored and index.

    Parameters
    ----------
    given : Inputs
        Statements and activations.
    directions : ndarray of shape (n_personas, n_layers + 1, d_model)
        Of the probes, by the persona that they were fitted on.
    personas : tuple of str
    """
    design = given.design
    label, subject = design.labels[design.report], design.subjects[design.report]
    result: dict[str, dict[str, dict[str, Interval]]] = {
        fit: {scored: {} for scored in personas} for fit in personas
    }
    for layer in range(directions.shape[1]):
        x = given.layer(SITE, layer)[:, design.report]
        for (i, fit), (j, scored) in product(enumerate(personas), repeat=2):
            result[fit][scored][str(layer)] = auroc(x[j] @ directions[i, layer], label, subject)
    return result


def auroc(
    score: NDArray[np.floating[Any]],
    label: NDArray[np.bool_],
    subject: NDArray[Any],
    seed: int = 0,
) -> Interval:
    """Chance that a true statement has a higher score than a false one; equal ones count half.

    Parameters
    ----------
    score : ndarray of shape (n_statements,)
        1 where every true statement scores above every false one, 0 where below: the same
        direction with the opposite sign.
    label : ndarray of shape (n_statements,), bool
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    seed : int
        Of the draws.

    Returns
    -------
    Interval
        Bootstrap over subjects, of the draws that have both labels. Nothing without both labels, or
        where a score is missing.
    """
    if not label.any() or label.all() or np.isnan(score).any():
        return NOTHING
    _, index = np.unique(subject, return_inverse=True)
    n_subjects = int(index.max()) + 1
    drawn = stats.draws(n_subjects, np.random.default_rng(seed))
    weights = np.vstack([np.ones(n_subjects), drawn])[:, index]
    true, false = score[label][:, None], score[~label]
    above = (true > false) + 0.5 * (true == false)
    of_true, of_false = weights[:, label], weights[:, ~label]
    pairs = of_true.sum(axis=1) * of_false.sum(axis=1)
    areas = ((of_true @ above) * of_false).sum(axis=1)[pairs > 0] / pairs[pairs > 0]
    low, high = stats.bootstrapped(areas[1:], n_subjects) if len(areas) > 1 else (0.0, 1.0)
    return Interval(float(areas[0]), low, high, len(label))
