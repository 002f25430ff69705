"""Where two personas' truth directions diverge, with an interval on the layer.

Directions are mass-mean, as sums over subjects give them: then a draw of subjects costs
one row of a matrix product.
"""

from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.probing.crossings import first_below
from stages.transfer.estimators.linear import varying
from stages.transfer.estimators.mass_mean import tilted
from stages.transfer.metrics import Crossing, Parting

LEVELS = {"parting_layer": 0.5, "turning_layer": 0.0, "opposite_layer": -0.5}
"""What is reported, and the cosine that it is the first layer below."""


AT_ONCE = 200  # draws of many subjects


def draws(subjects: NDArray[Any], rng: np.random.Generator) -> NDArray[np.int64]:
    """How often each subject is taken, (n_draws + 1, n_subjects); first as they are, once each."""
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
    """Cosine between two personas' mass-mean directions in each draw of subjects.

    Parameters
    ----------
    x : ndarray of shape (n_personas, n_statements, d), float64
        Raw activations.
    y : ndarray of shape (n_statements,), bool
    subjects : ndarray of shape (n_statements,)
    draws : ndarray of shape (n_draws, n_subjects), int
        From `draws`.
    corrected : bool
        Whether directions are tilted by the inverse of the covariance: that of all statements,
        which is held fixed in the draws.

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
    cell = np.where(y, 0, n_subjects) + index  # true ones of each subject, then false ones
    counts = np.bincount(cell, minlength=2 * n_subjects).reshape(2, -1)
    sums = [_sums(rows, y, cell, 2 * n_subjects, corrected) for rows in x]
    few = 2 * n_subjects <= x.shape[-1]
    blocks = [draws] if few else [draws[i : i + AT_ONCE] for i in range(0, len(draws), AT_ONCE)]
    values = [_of_draws(sums, counts, block, pairs, few) for block in blocks]
    return np.hstack(values).reshape(len(pairs), -1).clip(-1, 1)


def _of_draws(
    sums: list[NDArray[np.float64]],
    counts: NDArray[np.intp],
    draws: NDArray[np.int64],
    pairs: list[tuple[int, int]],
    few: bool,
) -> NDArray[np.float32]:
    """Cosines of some draws, (n_pairs, n_draws), from sums by subject and label.

    Of few subjects the products of sums are the smaller matrix, and are taken first; of many, whose
    number squared they grow with, the directions are.
    """

    def product(i: int, j: int) -> NDArray[np.float64]:
        if few:
            return ((signed @ (sums[i] @ sums[j].T)) * signed).sum(axis=1)
        return ((signed @ sums[i]) * (signed @ sums[j])).sum(axis=1)

    with np.errstate(invalid="ignore", divide="ignore"):
        parts = draws[None] / (draws @ counts.T).T[:, :, None]  # (2, n_draws, n_subjects)
        signed = np.hstack([parts[0], -parts[1]])  # (n_draws, 2 * n_subjects)
        lengths = [np.sqrt(np.maximum(product(i, i), 0)) for i in range(len(sums))]
        values = [product(i, j) / (lengths[i] * lengths[j]) for i, j in pairs]
    return np.array(values, np.float32)


def parted(
    value: NDArray[np.floating[Any]],
    drawn: NDArray[np.floating[Any]] | None,
    readable: NDArray[np.bool_],
    n_subjects: int,
) -> Parting:
    """Layers after which a cosine falls below 0.5, 0 and -0.5, each with its interval.

    Layers are those of the model, from 0: index i of the residual stream is the output of layer
    i - 1, and the layer given is the one whose output is the first below the level (0.5, 0, -0.5),
    as `parting_layer` of stage `ground_truth` is.

    Parameters
    ----------
    value : ndarray of shape (n_layers + 1,)
        Cosine, by index of the residual stream.
    drawn : ndarray of shape (n_layers + 1, n_draws) or None
        The same in draws of subjects, from `cosines`; None where there are none.
    readable : ndarray of shape (n_layers + 1,), bool
        Where truth is read from both personas; held fixed in the draws.
    n_subjects : int
        Subjects that were drawn from.

    Returns
    -------
    Parting
        Draws without such a layer lie beyond the last one: an end of the interval that falls among
        them is None (more than about 2.5 % of draws for ``high``).
    """
    crossings = {
        name: _crossing(value, drawn, readable, n_subjects, level) for name, level in LEVELS.items()
    }
    return Parting(layers=int(readable.sum()), **crossings)


def _crossing(
    value: NDArray[np.floating[Any]],
    drawn: NDArray[np.floating[Any]] | None,
    readable: NDArray[np.bool_],
    n_subjects: int,
    level: float,
) -> Crossing:
    """One field of `parted`."""
    (layer,) = first_below(value[:, None], readable, level) - 1
    first, low, high, never = int(layer) if np.isfinite(layer) else None, None, None, None
    if drawn is not None:
        layers = first_below(drawn, readable, level) - 1
        never = float(np.isinf(layers).mean())
        if first is not None:
            low, high = _interval(layers, n_subjects, len(value) - 2)
    return Crossing(first, low, high, never)


def _interval(
    layers: NDArray[np.float64], n_subjects: int, last: int
) -> tuple[int | None, int | None]:
    """Ends of the interval, rounded outwards; None beyond the last layer."""
    beyond = np.minimum(layers, 1e6 * (last + 1))  # finite, for percentiles between two draws
    low, high = stats.bootstrapped(beyond, n_subjects)
    ends = (int(np.floor(low)), int(np.ceil(high)))
    return tuple(end if end <= last else None for end in ends)  # pyright: ignore[reportReturnType]


def _sums(
    x: NDArray[np.float64], y: NDArray[np.bool_], cell: NDArray[np.intp], n: int, corrected: bool
) -> NDArray[np.float64]:
    """Activations (n_statements, d) summed by cell, (n, d'); features that vary alone count."""
    kept = varying(x)
    sums = np.zeros((n, x.shape[1]))
    np.add.at(sums, cell, np.where(kept, x - x.mean(axis=0), 0))
    if corrected and kept.any():
        sums[:, kept] = tilted(x[:, kept], y, sums[:, kept])
    return sums
