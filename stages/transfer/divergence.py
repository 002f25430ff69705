"""Find where two personas' truth directions diverge, with an interval on the layer.

Mass-mean directions are computed from sums by subject, so that a draw of subjects costs one row of
a matrix product.
"""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.probing.crossings import first_below
from stages.transfer.estimators.linear import varying
from stages.transfer.estimators.mass_mean import tilted
from stages.transfer.metrics import Crossing, Divergence

LEVELS = {"divergence_layer": 0.5, "turning_layer": 0.0, "opposite_layer": -0.5}
"""Fields of `Divergence`, and the cosine that each is the first layer below."""


AT_ONCE = 200  # draws per block, with many subjects


def draws(subjects: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw subjects: how often each is taken, (n_draws + 1, n_subjects); the first row is all 1."""
    n = len(np.unique(subjects))
    if n == 0:
        return np.ones((1, 0), np.int64)
    return np.vstack([np.ones(n, np.int64), stats.draws(n, rng)])


def cosines(
    x: NDArray[np.float64],
    y: NDArray[np.bool_],
    subjects: NDArray[Any],
    draws: NDArray[np.int64],
    corrected: bool = False,
) -> NDArray[np.float32]:
    """Compute the cosine of every two personas' mass-mean directions in each draw of subjects.

    Parameters
    ----------
    x : ndarray of shape (n_personas, n_statements, d), float64
        Raw activations.
    y : ndarray of shape (n_statements,), bool
    subjects : ndarray of shape (n_statements,)
    draws : ndarray of shape (n_draws, n_subjects), int
        From `draws`.
    corrected : bool
        Whether directions are multiplied by the inverse covariance within labels, that of all
        statements, which is held fixed in the draws.

    Returns
    -------
    ndarray of shape (n_pairs, n_draws), float32
        Pairs of personas in the order of `itertools.combinations`; NaN where a draw lacks a
        label, or activations do not vary.
    """
    pairs = list(combinations(range(len(x)), 2))
    if len(np.unique(y)) < 2:
        return np.full((len(pairs), len(draws)), np.nan, np.float32)
    _, index = np.unique(subjects, return_inverse=True)
    n_subjects = draws.shape[1]
    cell = np.where(y, 0, n_subjects) + index  # true statements by subject, then false ones
    counts = np.bincount(cell, minlength=2 * n_subjects).reshape(2, -1)
    sums = [_sums(rows, y, cell, 2 * n_subjects, corrected) for rows in x]
    few_subjects = 2 * n_subjects <= x.shape[-1]
    blocks = (
        [draws] if few_subjects else [draws[i : i + AT_ONCE] for i in range(0, len(draws), AT_ONCE)]
    )
    values = [_of_draws(sums, counts, block, pairs, few_subjects) for block in blocks]
    return np.hstack(values).reshape(len(pairs), -1).clip(-1, 1)


def _of_draws(
    sums: list[NDArray[np.float64]],
    counts: NDArray[np.intp],
    draws: NDArray[np.int64],
    pairs: list[tuple[int, int]],
    few_subjects: bool,
) -> NDArray[np.float32]:
    """Compute the cosines of some draws, (n_pairs, n_draws), from sums by subject and label.

    With few subjects, the products of sums are the smaller matrix and are computed first. Their
    number grows with the square of the number of subjects, so that with many subjects the
    directions are computed first.
    """

    def product(i: int, j: int) -> NDArray[np.float64]:
        if few_subjects:
            return ((signed @ (sums[i] @ sums[j].T)) * signed).sum(axis=1)
        return ((signed @ sums[i]) * (signed @ sums[j])).sum(axis=1)

    with np.errstate(invalid="ignore", divide="ignore"):
        parts = draws[None] / (draws @ counts.T).T[:, :, None]  # (2, n_draws, n_subjects)
        signed = np.hstack([parts[0], -parts[1]])  # (n_draws, 2 * n_subjects)
        lengths = [np.sqrt(np.maximum(product(i, i), 0)) for i in range(len(sums))]
        values = [product(i, j) / (lengths[i] * lengths[j]) for i, j in pairs]
    return np.array(values, np.float32)


def measure(
    value: NDArray[np.floating[Any]],
    drawn_values: NDArray[np.floating[Any]] | None,
    readable: NDArray[np.bool_],
    n_subjects: int,
) -> Divergence:
    """Find the layers after which a cosine falls below 0.5, 0 and -0.5, each with its interval.

    Layers are those of the model, from 0: index i of the residual stream is the output of layer
    i - 1. The layer found is the one whose output is the first below the level, as for
    `divergence_layer` of stage `ground_truth`.

    Parameters
    ----------
    value : ndarray of shape (n_layers + 1,)
        Cosine, by index of the residual stream.
    drawn_values : ndarray of shape (n_layers + 1, n_draws) or None
        The same cosine in draws of subjects, from `cosines`; None without draws.
    readable : ndarray of shape (n_layers + 1,), bool
        Whether probes of both personas read the truth; held fixed in the draws.
    n_subjects : int
        Number of subjects that were drawn from.

    Returns
    -------
    Divergence
        A draw without such a layer counts as a layer beyond the last one, and an end of the
        interval beyond the last layer is None (``high``, if these are more than about 2.5 % of
        draws).
    """
    crossings = {
        name: _crossing(value, drawn_values, readable, n_subjects, level)
        for name, level in LEVELS.items()
    }
    return Divergence(layers=int(readable.sum()), **crossings)


def _crossing(
    value: NDArray[np.floating[Any]],
    drawn_values: NDArray[np.floating[Any]] | None,
    readable: NDArray[np.bool_],
    n_subjects: int,
    level: float,
) -> Crossing:
    """Find the layer of one level, with its interval."""
    (layer,) = first_below(value[:, None], readable, level) - 1
    first, low, high, never = int(layer) if np.isfinite(layer) else None, None, None, None
    if drawn_values is not None:
        layers = first_below(drawn_values, readable, level) - 1
        never = float(np.isinf(layers).mean())
        if first is not None:
            low, high = _interval(layers, n_subjects, len(value) - 2)
    always_below = bool(readable.any() and (value[readable] < level).all())
    return Crossing(first, low, high, never, always_below)


def _interval(
    layers: NDArray[np.float64], n_subjects: int, last: int
) -> tuple[int | None, int | None]:
    """Return the ends of the interval, rounded outwards; None for an end beyond the last layer."""
    beyond = np.minimum(layers, 1e6 * (last + 1))  # finite, for percentiles between two draws
    low, high = stats.bootstrapped(beyond, n_subjects)
    if low is None or high is None:
        return None, None
    ends = (int(np.floor(low)), int(np.ceil(high)))
    return tuple(end if end <= last else None for end in ends)  # pyright: ignore[reportReturnType]


def _sums(
    x: NDArray[np.float64], y: NDArray[np.bool_], cell: NDArray[np.intp], n: int, corrected: bool
) -> NDArray[np.float64]:
    """Sum activations (n_statements, d) by cell, (n, d); features that do not vary are set to 0."""
    features = varying(x)
    sums = np.zeros((n, x.shape[1]))
    np.add.at(sums, cell, np.where(features, x - x.mean(axis=0), 0))
    if corrected and features.any():
        sums[:, features] = tilted(x[:, features], y, sums[:, features])
    return sums
