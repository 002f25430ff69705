"""Statements that probes are fitted and scored on: in the metrics of every stage with probes."""

from dataclasses import dataclass

import numpy as np

from stages.lib.probing.probe import Design


@dataclass(frozen=True)
class Count:
    """True and false statements of one split, and the subjects that they are about."""

    true: int
    false: int
    subjects: int


@dataclass(frozen=True)
class Counts:
    """Statements that probes are fitted and scored on.

    Attributes
    ----------
    statements : str
        ``known`` or ``all``.
    n : dict of str to Count
        By split.
    folds : int
        Of the cross-validation; 0 where some fold would lack a label.
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
