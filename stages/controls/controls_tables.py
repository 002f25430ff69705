"""What is written instead of the source's z, and what it does: rows, points, numbers."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.forward import Readouts
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head
from stages.lib.stats import run_points

SCHEMA = patched_runs.SCHEMA | {"run": pl.String, "donor": pl.String}
ALL = "all"
SOURCE, PATCHED, BASE = "source", "patched", "base"
# z of the rest: other heads of the same layers, of the whole window
REST_OF_LAYERS, REST_OF_WINDOW = "rest_of_layers", "rest_of_window"
# z of the base, of the set and of the rest of the window, into the source run
REVERSE, REVERSE_REST = "reverse", "reverse_rest"
# z of the source averaged over statements of either part
MEAN_SELECTION, MEAN_REPORT = "mean_selection", "mean_report"
# z of another statement's run: of the source with either label, of the base with the other label
SAME_LABEL, OTHER_LABEL, BASE_OTHER_LABEL = "same_label", "other_label", "base_other_label"


@dataclass(frozen=True)
class Run:
    """One run over the statements.

    Attributes
    ----------
    name : str
        One of the names above.
    source, base : str
        Personas of the run that gives z and of the run that is written into.
    heads : list of Head
        What is written.
    probabilities : ndarray of shape (n_statements, 2), float32
        P(true) and P(false).
    donor : ndarray of shape (n_statements,), int64, or None
        Row of the statement that lends z, -1 where there is none: such a row does not count. None
        where no other statement lends any.
    """

    name: str
    source: str
    base: str
    heads: list[Head]
    probabilities: NDArray[np.float32]
    donor: NDArray[np.int64] | None = None

    def kept(self) -> NDArray[np.bool_]:
        """Whether each statement counts: (n_statements,)."""
        if self.donor is None:
            return np.ones(len(self.probabilities), bool)
        return self.donor >= 0


def unpatched(readouts: Readouts, source: str, base: str) -> list[Run]:
    """The runs that nothing is written into."""
    return [
        Run(SOURCE, source, source, [], readouts.source),
        Run(BASE, base, base, [], readouts.base),
    ]


def rows(found: Cases, runs: list[Run]) -> pl.DataFrame:
    """One row a statement and run; a statement without a donor has none in that run."""
    ids = found.table["statement_id"].to_numpy()
    parts = []
    for run in runs:
        table = patched_runs.rows(
            found, run.probabilities, run.source, run.base, run.name, run.heads
        )
        donor = [""] * len(ids) if run.donor is None else list(ids[run.donor])
        table = table.with_columns(run=pl.lit(run.name), donor=pl.Series(donor, dtype=pl.String))
        parts.append(table.filter(pl.Series(run.kept(), dtype=pl.Boolean)))
    return pl.concat(parts)


def points(found: Cases, runs: list[Run], splits: list[str]) -> list[dict[str, Any]]:
    """Accuracy of every run, and how often its answer is its donor's label, on each split.

    Returns
    -------
    list of dict
        Rows of plots/controls/controls.json, with the runs in the given order.
    """
    result = []
    for split in (ALL, *splits):
        chosen = (found.table["split"] == split).to_numpy() | (split == ALL)
        for run in runs:
            names = {"split": split, "run": run.name, "source": run.source, "base": run.base}
            kept = chosen & run.kept()
            right = patch.correct(run.probabilities, found.label)[kept]
            measured = {"accuracy": stats.rate(right, found.subject[kept])}
            if run.donor is not None:
                measured["follows_donor"] = _follows(found, run, kept)
            result += [
                {**names, "measure": measure, **interval.row()}
                for measure, interval in measured.items()
            ]
    return result


def summarise(found: Cases, runs: list[Run]) -> dict[str, Any]:
    """Every run over all statements, and what the true patch does beyond each control.

    Returns
    -------
    dict
        ``runs``; ``patched - control``, pair by pair over the statements that count in the
        control; ``reverse - rest``, the set minus the rest of the window in the reverse;
        ``follows_donor``, the share of answers that are the donor's label.
    """
    by_name = {run.name: run for run in runs}
    true, lie = by_name.get(PATCHED), by_name.get(REVERSE)
    return {
        "known": cases.count(found.table),
        "runs": {run.name: run_points.point(found, run.probabilities, run.kept()) for run in runs},
        "n_heads": {run.name: len(run.heads) for run in runs if run.heads},
        "patched - control": {
            run.name: _difference(found, true, run)
            for run in runs
            if true is not None and run.name not in (SOURCE, PATCHED, REVERSE, REVERSE_REST)
        },
        "reverse - rest": _difference(found, lie, by_name[REVERSE_REST]) if lie else {},
        "follows_donor": {
            run.name: _follows(found, run, run.kept()).row()
            for run in runs
            if run.donor is not None
        },
    }


def _follows(found: Cases, run: Run, kept: NDArray[np.bool_]) -> stats.Interval:
    """How often the answer is the label of the statement that lent z."""
    if run.donor is None:
        return stats.NOTHING
    label = found.label[run.donor]
    return stats.rate(patch.correct(run.probabilities, label)[kept], found.subject[kept])


def _difference(found: Cases, true: Run, control: Run) -> dict[str, Any]:
    """True patch minus control, in accuracy and in truth."""
    kept = control.kept()
    label, subject = found.label[kept], found.subject[kept]
    return {
        name: stats.difference(
            measure(true.probabilities[kept], label),
            measure(control.probabilities[kept], label),
            subject,
        ).row()
        for name, measure in (("accuracy", patch.correct), ("truth", patch.truth))
    }
