"""Mass-mean probes: from the mean of false statements to the mean of true ones."""

import numpy as np
from numpy.typing import NDArray

from stages.transfer.estimators.linear import Floats, Labels, Linear
from stages.transfer.forms import Forms


class MassMean(Linear):
    """The difference of the two labels' means, with the threshold halfway between them.

    References
    ----------
    Marks and Tegmark (2023), The Geometry of Truth, arXiv:2310.06824, section 5. Their probe has no
    intercept, since they centre each data set, the scored one too; here nothing is known of what
    is scored.
    """

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, float]:
        """Weights and intercept."""
        true, false = x[y].mean(axis=0), x[~y].mean(axis=0)
        direction = true - false
        return direction, -float((true + false) @ direction) / 2


class CorrectedMassMean(Linear):
    """The same, tilted by the inverse of the covariance within a label: discriminant analysis.

    It removes what the difference of means shares with directions along which statements vary
    whatever their label.

    References
    ----------
    Marks and Tegmark (2023), arXiv:2310.06824, section 5, take the pseudo-inverse of the
    covariance (tolerance 1e-3), which drops what lies outside of the statements' own span; there
    are fewer statements than dimensions here, so that the covariance is shrunk instead, after
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
    rest = np.where(y[:, None], x - x[y].mean(axis=0), x - x[~y].mean(axis=0))
    return _divided(rest, vectors.T).T


def shrinkage(gram: NDArray[np.float64], d: int) -> tuple[float, float]:
    """How far to shrink a covariance to a multiple of the identity, and which multiple.

    Parameters
    ----------
    gram : ndarray of shape (n, n), float64
        Products of n centred rows of d features: all that the formula depends on.
    d : int
        Features.

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
    squared = float(np.square(gram).sum()) / n**2  # of the covariance's entries
    noise = (float(np.square(np.diag(gram)).sum()) / n - squared) / (n * d)
    distance = squared / d - variance**2
    if distance <= 0:  # the covariance is a multiple of the identity
        return 1.0, variance
    return min(max(noise, 0.0), distance) / distance, variance


def _divided(rest: Floats, vectors: Floats) -> Floats:
    """Solve the shrunk covariance of the rows `rest` (n, d) against vectors (d,) or (d, k)."""
    n, d = rest.shape
    gram = rest @ rest.T
    weight, variance = shrinkage(gram, d)
    least = max(weight * variance, np.finfo(np.float64).eps * max(variance, 1.0))
    if weight >= 1:
        return vectors / least
    # Woodbury's identity: an (n, n) system instead of a (d, d) one
    inner = gram + least * n / (1 - weight) * np.eye(n)
    return (vectors - rest.T @ np.linalg.solve(inner, rest @ vectors)) / least
