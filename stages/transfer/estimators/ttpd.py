"""TTPD: a truth direction that does not flip under negation."""

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from stages.transfer.estimators.linear import A_FAMILY, Floats, Labels, Linear, Logistic
from stages.transfer.forms import Forms


class TTPD(Linear):
    """Training of Truth and Polarity Direction.

    Activations centred within each topic are regressed on the label (1 or -1) and on the label
    times the polarity (1 plain, -1 negated). The first coefficient is the general truth direction,
    t_G. The second is the polarity-sensitive truth direction, t_P, whose sign differs between plain
    and negated statements. The direction of polarity, p, is found by logistic regression. Logistic
    regression on the projections onto t_G and p gives the probe.

    Parameters
    ----------
    regularisation : float
        scikit-learn's C, of both logistic regressions.
    max_iter : int
        Maximum number of iterations.

    Attributes
    ----------
    truth_, polarity_ : ndarray of shape (d,), float64
        t_G, and the direction of polarity p, in the space of the features that vary.

    References
    ----------
    Buerger, Hamprecht and Nadler (2024), Truth is Universal, arXiv:2407.12831, sections 3 and 5.
    The two regressors are centred within topics, as the activations are (which changes nothing if
    as many statements are true as false). Both logistic regressions have the penalty of `Logistic`,
    since with fewer statements than dimensions the polarity is separable.
    """

    needs = A_FAMILY
    truth_: Floats
    polarity_: Floats

    def __init__(self, regularisation: float = 1.0, max_iter: int = 1000) -> None:
        self.regularisation = regularisation
        self.max_iter = max_iter

    def can_fit(self, y: Labels, forms: Forms) -> bool:
        """Whether plain and negated statements have both labels each."""
        return all(len(np.unique(y[forms.negated == side])) == 2 for side in (False, True))

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, float]:
        """Weights and intercept."""
        self.truth_, _ = truth_directions(x, y, forms)
        reader = Logistic(self.regularisation, self.max_iter)
        self.polarity_ = reader.fit(x, forms.negated, forms).coef_
        plane = np.stack([self.truth_, self.polarity_], axis=1)  # (d, 2)
        projected = x @ plane
        centre, spread = projected.mean(axis=0), projected.std(axis=0)
        spread[spread == 0] = 1
        model = LogisticRegression(
            C=self.regularisation, max_iter=self.max_iter, solver="newton-cholesky"
        )
        model.fit((projected - centre) / spread, y)
        weights = np.ravel(model.coef_) / spread
        return plane @ weights, float(np.ravel(model.intercept_)[0] - centre @ weights)


def truth_directions(
    x: Floats, y: Labels, forms: Forms
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Find t_G and t_P by least squares within topics.

    Parameters
    ----------
    x : ndarray of shape (n_statements, d), float64
    y : ndarray of shape (n_statements,), bool
    forms : Forms

    Returns
    -------
    tuple of ndarray of shape (d,), float64
        t_G and t_P: half of the difference from false to true statements, the part common to plain
        and negated statements and the part whose sign differs between them.
    """
    label = np.where(y, 1.0, -1.0)
    regressors = np.stack([label, label * np.where(forms.negated, -1.0, 1.0)], axis=1)
    columns = np.hstack([regressors, x])
    for topic in np.unique(forms.topic):
        rows = forms.topic == topic
        columns[rows] -= columns[rows].mean(axis=0)
    solution = np.linalg.lstsq(columns[:, :2], columns[:, 2:], rcond=None)[0]
    return solution[0], solution[1]
