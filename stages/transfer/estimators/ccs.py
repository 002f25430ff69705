"""Contrast-consistent search: a direction on which a statement and its negation disagree."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

from stages.transfer.estimators.linear import A_FAMILY, Floats, Labels, Linear
from stages.transfer.forms import Forms

PENALTY = 1e-3
START = 3.0  # norm of the weights that a search starts from


class CCS(Linear):
    """Contrast-consistent search on pairs of a statement and its negation.

    Weights are sought for which p(statement) = 1 - p(negation) and neither is near 0.5. Plain
    statements and their negations are centred separately. Otherwise the direction could be
    polarity, which separates the halves of every pair. Scoring therefore has one threshold for
    plain and one for negated statements. Labels decide the sign alone, as nothing in a pair says
    which half is true.

    Parameters
    ----------
    starts : int
        Number of random starts; the result of lowest loss is kept.
    seed : int
        Seed of the starts.

    References
    ----------
    Burns et al. (2022), Discovering Latent Knowledge, arXiv:2212.03827, section 2.2. Pairs as in
    Marks and Tegmark (2023), arXiv:2310.06824 (statements of `cities` and `neg_cities`). Both
    halves are divided by the same standard deviations, so that there is one direction in the space
    of the activations. A fixed penalty replaces the early stopping and weight decay of Burns et
    al.: 1e-3 times the squared norm of the weights, for rows whose mean squared length is 1.
    Without it, weights of more dimensions than pairs can fit any signs.
    """

    needs = A_FAMILY
    supervised = False

    def __init__(self, starts: int = 10, seed: int = 0) -> None:
        self.starts = starts
        self.seed = seed

    def can_fit(self, y: Labels, forms: Forms) -> bool:
        """Whether the plain halves of the complete pairs have both labels."""
        plain, _ = forms.halves()
        return len(np.unique(y[plain])) == 2

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, Floats]:
        """Weights and both intercepts."""
        plain, negations = forms.halves()
        halves = np.stack([x[plain], x[negations]])  # (2, n_pairs, d)
        centres = halves.mean(axis=1)
        centred = halves - centres[:, None]
        spread = np.sqrt(np.square(centred).mean(axis=(0, 1)))
        spread[spread == 0] = np.inf  # a feature that does not vary has weight 0
        length = np.sqrt(np.count_nonzero(np.isfinite(spread)) or 1)
        weights, bias = self._search(centred / (spread * length))
        direction = weights / (spread * length)
        says_true = centred @ direction + bias > 0
        if (says_true == [y[plain], ~y[plain]]).mean() < 0.5:
            direction, bias = -direction, -bias
        return direction, bias - centres @ direction

    def _search(self, features: NDArray[np.float64]) -> tuple[Floats, float]:
        """Find weights (d,) and bias of lowest loss, for halves (2, n_pairs, d) of mean norm 1."""
        rows = features.reshape(-1, features.shape[-1])
        basis = None
        if rows.shape[1] > len(rows):  # the weights lie in the span of the rows
            basis, triangle = np.linalg.qr(rows.T)
            rows = triangle.T
        random = np.random.default_rng(self.seed)
        results = []
        for _ in range(self.starts):
            start = random.normal(size=rows.shape[1] + 1)
            start *= START / np.linalg.norm(start)
            start[-1] = 0
            results.append(minimize(loss, start, args=(rows,), jac=True, method="L-BFGS-B"))
        best = min(results, key=lambda result: result.fun).x
        return (best[:-1] if basis is None else basis @ best[:-1]), float(best[-1])


def loss(line: NDArray[np.float64], rows: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
    """Compute the loss of a line (inconsistency, doubt and penalty), and its gradient.

    Parameters
    ----------
    line : ndarray of shape (d + 1,), float64
        Weights and bias.
    rows : ndarray of shape (2 * n_pairs, d), float64
        Statements, then their negations in the same order.

    Returns
    -------
    float
        Mean of ``(p + q - 1) ** 2 + min(p, q) ** 2`` with p of the statement and q of its
        negation, plus the penalty.
    ndarray of shape (d + 1,), float64
        Gradient of the loss.
    """
    weights, bias = line[:-1], line[-1]
    p, q = probabilities = expit(rows @ weights + bias).reshape(2, -1)
    inconsistency, doubt = p + q - 1, np.minimum(p, q)
    value = np.mean(inconsistency**2 + doubt**2) + PENALTY * weights @ weights
    by_probability = 2 * (inconsistency + doubt * (probabilities == doubt)) / len(p)  # (2, n_pairs)
    by_score = (by_probability * probabilities * (1 - probabilities)).ravel()
    gradient = np.append(by_score @ rows + 2 * PENALTY * weights, by_score.sum())
    return float(value), gradient
