"""Mass-mean probes: the direction from the mean of false statements to the mean of true ones."""

import numpy as np
from numpy.typing import NDArray

from stages.transfer.estimators.linear import Floats, Labels, Linear
from stages.transfer.forms import Forms


class MassMean(Linear):
    """The difference of the two labels' means, with the threshold halfway between them.

    References
    ----------
    Marks and Tegmark (2023), The Geometry of Truth, arXiv:2310.06824, section 5. Their probe has no
    intercept, since they centre every data set, including the scored one. Here, scoring uses no
    statistics of the scored statements.
    """

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, float]:
        """Weights and intercept."""
        true, false = x[y].mean(axis=0), x[~y].mean(axis=0)
        direction = true - false
        return direction, -float((true + false) @ direction) / 2


class CorrectedMassMean(Linear):
    """Mass-mean direction times the inverse covariance within labels: discriminant analysis.

    The correction reduces what the difference of means shares with directions along which
    statements vary whatever their label.

    References
    ----------
    Marks and Tegmark (2023), arXiv:2310.06824, section 5, take the pseudo-inverse of the
    covariance (tolerance 1e-3), which drops what lies outside the span of the statements. Here
    there are fewer statements than dimensions, so that the covariance is shrunk instead, after
    Ledoit and Wolf (2004), Journal of Multivariate Analysis 88, 365-411.
    """

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, float]:
        """Weights and intercept."""
        true, false = x[y].mean(axis=0), x[~y].mean(axis=0)
        direction = tilted(x, y, true - false)
        return direction, -float((true + false) @ direction) / 2


def tilted(x: Floats, y: Labels, vectors: Floats) -> Floats:
    """Multiply vectors by the inverse of the shrunk covariance within labels.

    Parameters
    ----------
    x : ndarray of shape (n_statements, d), float64
        Activations, all features of which vary.
    y : ndarray of shape (n_statements,), bool
        Labels, both of them.
    vectors : ndarray of shape (d,) or (n_vectors, d), float64

    Returns
    -------
    ndarray of the shape of `vectors`, float64
    """
    residuals = np.where(y[:, None], x - x[y].mean(axis=0), x - x[~y].mean(axis=0))
    return _divided(residuals, vectors.T).T


def shrinkage(gram: NDArray[np.float64], d: int) -> tuple[float, float]:
    """Find how far to shrink a covariance to a multiple of the identity, and which multiple.

    Parameters
    ----------
    gram : ndarray of shape (n, n), float64
        Inner products of n centred rows of d features; the formula depends on nothing else.
    d : int
        Number of features.

    Returns
    -------
    tuple of float
        Weight of the identity, from 0 to 1, and the mean variance of a feature.

    References
    ----------
    Ledoit and Wolf (2004), Journal of Multivariate Analysis 88, 365-411, lemma 3.3;
    ``sklearn.covariance.ledoit_wolf`` gives the same from the (d, d) covariance.
    """
    n = len(gram)
    variance = float(np.trace(gram)) / n / d
    squared = float(np.square(gram).sum()) / n**2  # sum over the covariance's entries
    noise = (float(np.square(np.diag(gram)).sum()) / n - squared) / (n * d)
    distance = squared / d - variance**2
    if distance <= 0:  # the covariance is a multiple of the identity
        return 1.0, variance
    return min(max(noise, 0.0), distance) / distance, variance


def _divided(residuals: Floats, vectors: Floats) -> Floats:
    """Multiply vectors, (d,) or (d, k), by the inverse shrunk covariance of `residuals`, (n, d)."""
    n, d = residuals.shape
    gram = residuals @ residuals.T
    weight, variance = shrinkage(gram, d)
    ridge = max(weight * variance, np.finfo(np.float64).eps * max(variance, 1.0))
    if weight >= 1:
        return vectors / ridge
    # Woodbury's identity: an (n, n) system instead of a (d, d) one
    inner = gram + ridge * n / (1 - weight) * np.eye(n)
    return (vectors - residuals.T @ np.linalg.solve(inner, residuals @ vectors)) / ridge
