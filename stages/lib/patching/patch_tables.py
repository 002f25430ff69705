"""Patched runs as rows of a table, and as points of a plot."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import tables
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head

SCHEMA = tables.PATCHED | {"heads": pl.List(pl.Struct({"layer": pl.Int32, "head": pl.Int32}))}
POINT = ("accuracy", "low", "high", "n", "truth", "truth_low", "truth_high")


def rows(
    cases: Cases,
    probabilities: np.ndarray,
    source: str,
    base: str,
    patch_id: str = "none",
    heads: Iterable[Head] = (),
) -> pl.DataFrame:
    """One run's rows of a table of patched runs.

    Parameters
    ----------
    cases : Cases
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    source, base : str
        Personas of the run that gives z and of the run that is written into; the same for a run
        that is not patched.
    patch_id : str
        Names the patch.
    heads : iterable of Head
        What the patch writes.

    Returns
    -------
    DataFrame
        With the columns of `SCHEMA`.
    """
    n = len(cases.table)
    written = [{"layer": layer, "head": head} for layer, head in heads]
    return pl.DataFrame(
        {
            "statement_id": cases.table["statement_id"],
            "source": [source] * n,
            "base": [base] * n,
            "patch_id": [patch_id] * n,
            "p_true": probabilities[:, 0],
            "p_false": probabilities[:, 1],
            "truth_mass": probabilities.sum(axis=1),
            "heads": [written] * n,
        },
        schema=SCHEMA,
    )


def point(
    cases: Cases, probabilities: np.ndarray, chosen: np.ndarray | None = None
) -> dict[str, Any]:
    """Accuracy and mean truth, each with its interval, of one run on some of the statements.

    Parameters
    ----------
    cases : Cases
        The statements.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    chosen : ndarray of shape (n_statements,), bool
        The statements that count; None takes all.

    Returns
    -------
    dict
        The keys of `POINT`; None for all but `n` where no statement counts.
    """
    keep = np.ones(len(cases.label), bool) if chosen is None else chosen
    accuracy = stats.rate(patch.correct(probabilities, cases.label)[keep], cases.subject[keep])
    truth = stats.mean(patch.truth(probabilities, cases.label)[keep], cases.subject[keep])
    return {**accuracy.row("accuracy"), **beside("truth", truth)}


def effect(cases: Cases, patched: np.ndarray, base: np.ndarray) -> dict[str, Any]:
    """Truth that one run has above another, with its interval, statement by statement.

    Parameters
    ----------
    cases : Cases
        The statements.
    patched, base : ndarray of shape (n_statements, 2), float32
        P(true) and P(false) of the two runs.

    Returns
    -------
    dict
        ``effect``, ``effect_low``, ``effect_high``; None where there is no statement.
    """
    gained = patch.truth(patched, cases.label) - patch.truth(base, cases.label)
    return beside("effect", stats.mean(gained, cases.subject, (-1.0, 1.0)))


def beside(name: str, interval: stats.Interval) -> dict[str, float | None]:
    """Columns of an estimate that stands in a row beside another one, whose n it has."""
    return {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}


def numbers(row: dict[str, Any]) -> dict[str, Any]:
    """Cut a plot's row down to its numbers."""
    return {key: row[key] for key in POINT}
