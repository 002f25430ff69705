"""Statements and estimators of stage `transfer`: the same for every persona, layer and method."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stages.lib.probing import probe
from stages.lib.probing.config import ProbesConfig
from stages.transfer import divergence
from stages.transfer.config import TransferConfig
from stages.transfer.estimators import make
from stages.transfer.estimators.linear import Linear
from stages.transfer.forms import Forms


@dataclass(frozen=True)
class Sample:
    """Statements that are fitted on and scored: the same for every persona, layer and method.

    Attributes
    ----------
    design : Design
        Labels, subjects, selection and report rows, folds.
    forms : Forms
        Of all statements.
    permuted : tuple of ndarray of shape (n_permutations, n_selection) and (…, n_report), bool
        Labels of the selection and of the report split, permuted within each topic; the same draws
        for every persona, layer and method.
    methods : dict of str to Linear
        Unfitted estimators, by name.
    draws : ndarray of shape (n_draws + 1, n_subjects), int
        How often each subject of the selection is taken; the first row is 1 everywhere.
    """

    design: probe.Design
    forms: Forms
    permuted: tuple[NDArray[np.bool_], NDArray[np.bool_]]
    methods: dict[str, Linear]
    draws: NDArray[np.int64]

    @property
    def y(self) -> NDArray[np.bool_]:
        """Labels of the selection split."""
        return self.design.labels[self.design.selection]

    @property
    def truth(self) -> NDArray[np.bool_]:
        """Labels of the report split."""
        return self.design.labels[self.design.report]

    @property
    def selection_forms(self) -> Forms:
        """Forms of the selection split."""
        return self.forms[self.design.selection]

    @property
    def scored(self) -> Forms:
        """Forms of the report split, which is scored."""
        return self.forms[self.design.report]


def draw(
    design: probe.Design, forms: Forms, settings: TransferConfig, logistic: ProbesConfig
) -> Sample:
    """Draw permutations and subjects, once for all places.

    Parameters
    ----------
    design : Design
    forms : Forms
        Of all statements.
    settings : TransferConfig
    logistic : ProbesConfig
        Settings of every logistic regression in a method.
    """
    rng = np.random.default_rng(settings.seed)
    selected, scored = (
        _permutations(design.labels[rows], forms.topic[rows], settings.permutations, rng)
        for rows in (design.selection, design.report)
    )
    logistic_settings = {"regularisation": logistic.regularisation, "max_iter": logistic.max_iter}
    methods = {
        name: make(name, **logistic_settings, seed=settings.seed) for name in settings.methods
    }
    draws = divergence.draws(design.subjects[design.selection], rng)
    return Sample(design, forms, (selected, scored), methods, draws)


def _permutations(
    labels: NDArray[np.bool_], topics: NDArray[np.str_], n: int, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Permute labels within each topic, (n, n_statements)."""
    permuted = np.tile(labels, (n, 1))
    for row in permuted:
        for topic in np.unique(topics):
            row[topics == topic] = rng.permutation(row[topics == topic])
    return permuted
