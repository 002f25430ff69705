"""Counts of the statements that probes are fitted and scored on, for metrics."""

from dataclasses import dataclass

import numpy as np

from stages.lib.probing.probe import Design


@dataclass(frozen=True)
class Count:
    """Number of true statements, false statements and subjects of one split."""

    true: int
    false: int
    subjects: int


@dataclass(frozen=True)
class Counts:
    """Counts of the statements that probes are fitted and scored on.

    Attributes
    ----------
    statements : str
        ``known`` or ``all``.
    n : dict of str to Count
        Counts by split.
    folds : int
        Number of cross-validation folds; 0 if the training part of a fold would lack a label.
    """

    statements: str
    n: dict[str, Count]
    folds: int


def of(design: Design) -> Counts:
    """Count the statements of both splits."""
    n: dict[str, Count] = {}
    for split, rows in (("selection", design.selection), ("report", design.report)):
        true = int(design.labels[rows].sum())
        n[split] = Count(true, len(rows) - true, len(np.unique(design.subjects[rows])))
    return Counts(design.statements, n, len(design.folds))
