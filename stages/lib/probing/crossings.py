"""Finds the layer at which the cosine of two directions falls below a level."""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def first_below(
    cosine: NDArray[np.floating[Any]], readable: NDArray[np.bool_], level: float
) -> NDArray[np.float64]:
    """Find the first layer with a cosine below a level, right after a layer at or above it.

    Parameters
    ----------
    cosine : ndarray of shape (n_layers, n_draws)
    readable : ndarray of shape (n_layers,), bool
        The layers to consider; all other layers are skipped.
    level : float

    Returns
    -------
    ndarray of shape (n_draws,), float64
        Index of the layer; infinite if there is none. A curve that starts below the level has not
        fallen there.
    """
    layers = np.flatnonzero(readable)
    curve = cosine[layers]
    if len(layers) < 2:
        return np.full(len(cosine.T), np.inf)
    falls = (curve[:-1] >= level) & (curve[1:] < level)  # (n_readable - 1, n_draws)
    first = layers[1:][falls.argmax(axis=0)].astype(np.float64)
    first[~falls.any(axis=0)] = np.inf
    return first
