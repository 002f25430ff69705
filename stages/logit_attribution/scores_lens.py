"""Logit lens: where the answers of two runs diverge."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.patching import patch
from stages.logit_attribution.metrics import LensDivergence, LensLayer

Array = NDArray[np.float64]
HALF = 0.5


def log_odds(log_p: Array, label: NDArray[np.bool_]) -> Array:
    """Return the log of P(right answer) / P(wrong answer), in nats.

    Parameters
    ----------
    log_p : ndarray of shape (n_statements, n_layers + 1, 2)
        Log P(true) and log P(false).
    label : ndarray of shape (n_statements,), bool
        Whether each statement is true.

    Returns
    -------
    ndarray of shape (n_statements, n_layers + 1)
    """
    return patch.toward_right(log_p[..., 0] - log_p[..., 1], label)


def p_correct(odds: Array) -> Array:
    """Return the probability of the right answer out of both, from its log-odds."""
    return np.exp(-np.logaddexp(0.0, -odds))


def divergence(gap: Array, subject: NDArray[Any], seed: int = 0) -> LensDivergence:
    """Find the layer from which on two runs differ.

    Parameters
    ----------
    gap : ndarray of shape (n_statements, n_layers + 1)
        One run's p_correct minus the other's, at the input of each layer and the last one's output.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    seed : int
        Seed of the bootstrap's draws.

    Returns
    -------
    LensDivergence
        Intervals are from 2,000 draws of subjects; the search is repeated in each draw.
    """
    nowhere = LensLayer(None, None, None, len(gap), None)
    names, index = np.unique(subject, return_inverse=True)
    n_subjects = len(names)
    if n_subjects < 2:
        return LensDivergence(nowhere, nowhere)
    sums = np.zeros((n_subjects, gap.shape[1]))
    np.add.at(sums, index, gap)
    counts = np.bincount(index).astype(np.float64)
    draws = stats.draws(n_subjects, np.random.default_rng(seed))
    times = np.concatenate([np.ones((1, n_subjects), np.int64), draws])
    mean = (times @ sums) / (times @ counts)[:, None]
    mean *= np.sign(mean[0, -1])  # the sign of the final gap, on all statements
    half_widths = [
        stats.half_width(np.repeat(sums.T, drawn, axis=1), np.repeat(counts, drawn))
        for drawn in times
    ]
    differs = _first(mean > np.array(half_widths))
    half = _first(mean >= HALF * mean[:1, -1])
    if mean[0, -1] <= 0:
        return LensDivergence(nowhere, nowhere)
    return LensDivergence(*(_layer(layers, gap, n_subjects) for layers in (differs, half)))


def _layer(layers: NDArray[np.int64], gap: Array, n_subjects: int) -> LensLayer:
    """The layer on all statements (the first entry), with its interval over draws (the others)."""
    first, never = int(layers[0]), gap.shape[1]
    if first == never:
        return LensLayer(None, None, None, len(gap), None)
    low, high = stats.bootstrapped(layers[1:].astype(np.float64), n_subjects)
    mean = float(gap[:, first].mean())
    if low is None or high is None:
        return LensLayer(first, None, None, len(gap), mean)
    last = int(np.ceil(high))
    return LensLayer(first, int(np.floor(low)), last if last < never else None, len(gap), mean)


def _first(holds: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First column of each row from which on `holds` is True; one beyond the last if none."""
    lasting = np.cumprod(holds[:, ::-1], axis=1)
    return holds.shape[1] - lasting.sum(axis=1)
