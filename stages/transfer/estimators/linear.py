"""Base class of all probes, and logistic regression."""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from stages.lib.probing import probe
from stages.lib.probing.config import ProbesConfig
from stages.transfer.forms import Forms

Floats = NDArray[np.float64]
Labels = NDArray[np.bool_]
A_TOPIC, A_FAMILY = "a topic", "a family"


class Linear(ClassifierMixin, BaseEstimator):
    """A probe that says "true" where ``x @ coef_ + intercepts_`` is above 0.

    Attributes
    ----------
    coef_ : ndarray of shape (d,), float64
        Weights in the space of raw activations, of any norm; 0 for features that do not vary.
    intercepts_ : ndarray of shape (2,), float64
        For plain and for negated statements. They differ only in a method that centres the two
        separately (`CCS`).
    classes_ : ndarray of shape (2,), bool
        False and true.
    needs : str
        ``a topic`` if the method can be fitted on plain or on negated statements alone,
        ``a family`` if it needs both.
    supervised : bool
        Whether labels decide more than the sign of the direction.
    """

    needs = A_TOPIC
    supervised = True
    coef_: Floats
    intercepts_: Floats
    classes_: Labels

    def can_fit(self, y: Labels, forms: Forms) -> bool:
        """Whether the method can be fitted on the statements: here, if they have both labels."""
        return len(forms.topic) > 0 and len(np.unique(y)) == 2

    def fit(self, x: Floats, y: Labels, forms: Forms) -> Self:
        """Fit on activations.

        Parameters
        ----------
        x : ndarray of shape (n_statements, d), float64
            Raw activations.
        y : ndarray of shape (n_statements,), bool
            Labels.
        forms : Forms
            Forms of the same statements.

        Raises
        ------
        ValueError
            If the method cannot be fitted on the statements (`can_fit`).
        """
        if not self.can_fit(y, forms):
            raise ValueError(f"{type(self).__name__} cannot be fitted on these statements")
        self.classes_ = np.array([False, True])
        self.coef_ = np.zeros(x.shape[1])
        self.intercepts_ = np.zeros(2)
        features = varying(x)
        if features.any():
            self.coef_[features], self.intercepts_[:] = self._line(x[:, features], y, forms)
        return self

    def decision_function(self, x: Floats, negated: Labels | None = None) -> Floats:
        """Score statements, (n_statements,): above 0 for "true".

        Without `negated`, (n_statements,), the threshold is halfway between the thresholds of plain
        and of negated statements.
        """
        if negated is None:
            return x @ self.coef_ + self.intercepts_.mean()
        return x @ self.coef_ + self.intercepts_[negated.astype(np.intp)]

    def predict(self, x: Floats, negated: Labels | None = None) -> Labels:
        """Predict labels, (n_statements,)."""
        return self.decision_function(x, negated) > 0

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, Floats | float]:
        """Compute weights and intercept, or two intercepts, from features all of which vary."""
        raise NotImplementedError


class Logistic(Linear):
    """Logistic regression on standardised activations: the same fit as in stage `probes`.

    Parameters
    ----------
    regularisation : float
        scikit-learn's C.
    max_iter : int
        Maximum number of iterations.

    References
    ----------
    arXiv:2311.15131, section 4 (without standardisation).
    """

    def __init__(self, regularisation: float = 1.0, max_iter: int = 1000) -> None:
        self.regularisation = regularisation
        self.max_iter = max_iter

    def _line(self, x: Floats, y: Labels, forms: Forms) -> tuple[Floats, float]:
        """Fit one place of one persona, on all rows."""
        all_rows = np.arange(len(y))
        design = probe.Design(y, all_rows, all_rows, all_rows[:0], (), "")
        settings = ProbesConfig(self.regularisation, self.max_iter, permutations=0, seed=0)
        fitted = probe.fit_place(x[None].astype(np.float32), design, settings, 0)
        return fitted.directions[0].astype(np.float64), float(fitted.intercepts[0])


def varying(x: Floats) -> Labels:
    """Say which features vary by more than float32 resolves, (d,): less is rounding error."""
    return x.std(axis=0) > np.finfo(np.float32).eps * np.abs(x).max(axis=0)
