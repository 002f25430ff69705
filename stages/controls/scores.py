"""Scores of `controls`: each run, and what the true patch does beyond each control.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl

from stages.controls.controls_tables import (
    BASE,
    LENT,
    PATCHED,
    REVERSE,
    REVERSE_REST,
    RUNS,
    SCHEMA,
    SOURCE,
)
from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points

ALL = "all"  # stands for every split


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes controls.json (one row per split, run and measure) into this folder",
    ],
) -> None:
    """Score every run over all statements and on each split."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    splits = sorted(set(tables.read(pairs, tables.PAIRS)["split"]))
    tables.write_rows(plots / "controls.json", points(about, table, splits, config))
    tables.write_json(metrics, summarise(about, table))


def points(
    about: Cases, runs: pl.DataFrame, splits: list[str], config: PatchConfig
) -> list[dict[str, Any]]:
    """Accuracy of every run, and how often its answer is its donor's label, on each split.

    Parameters
    ----------
    about : Cases
        The statements.
    runs : DataFrame
        What stage `controls` wrote.
    splits : list of str
        All splits, also those without a statement.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/controls/controls.json, with the runs in the order of `RUNS`.
    """
    by_run, result = _by_run(about, runs), []
    for split in (ALL, *splits):
        for run, rows in by_run.items():
            source, base = (getattr(config, role) for role in RUNS[run])
            own = rows if split == ALL else rows.filter(pl.col("split") == split)
            measured = {"accuracy": _rate(own, "label")}
            if run in LENT:
                measured["follows_donor"] = _rate(own, "donor_label")
            result += [
                {"split": split, "run": run, "source": source, "base": base, "measure": measure}
                | interval.row()
                for measure, interval in measured.items()
            ]
    return result


def summarise(about: Cases, runs: pl.DataFrame) -> dict[str, Any]:
    """Every run over all statements, and what the true patch does beyond each control.

    Parameters
    ----------
    about : Cases
        The statements.
    runs : DataFrame
        What stage `controls` wrote.

    Returns
    -------
    dict
        ``runs``; ``patched - control``, pair by pair over the statements that have a row in the
        control; ``reverse - rest``, the set minus the rest of the window in the reverse;
        ``follows_donor``, the share of answers that are the donor's label.
    """
    by_run = _by_run(about, runs)
    patched = PATCHED in by_run
    controls = [run for run in by_run if run not in (SOURCE, PATCHED, REVERSE, REVERSE_REST)]
    return {
        "known": cases.count(about.table),
        "runs": {
            run: run_points.point(about.only(rows["statement_id"]), _probabilities(rows))
            for run, rows in by_run.items()
        },
        "n_heads": {run: n for run in by_run if (n := _n_heads(by_run, run))},
        "patched - control": {
            run: _difference(by_run[PATCHED], by_run[run]) for run in controls if patched
        },
        "reverse - rest": _difference(by_run[REVERSE], by_run[REVERSE_REST]) if patched else {},
        "follows_donor": {
            run: _rate(by_run[run], "donor_label").row() for run in by_run if run in LENT
        },
    }


def _by_run(about: Cases, runs: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Rows of each run, sorted by statement, with label, split and subject, and the donor's label.

    Without a patched run there are the unpatched ones alone, maybe without a row.
    """
    statement = about.table.select("statement_id", "split", "label", "subject")
    donor = about.table.select(donor="statement_id", donor_label="label")
    joined = runs.join(statement, on="statement_id").join(donor, on="donor", how="left")
    joined = joined.sort("statement_id")
    made = RUNS if PATCHED in joined["run"] else (SOURCE, BASE)
    return {run: joined.filter(pl.col("run") == run) for run in made}


def _n_heads(by_run: dict[str, pl.DataFrame], run: str) -> int:
    """Count the heads that a run patches; those of the set where no statement has a donor."""
    rows = by_run[PATCHED if run in LENT else run]
    return len(rows["heads"][0]) if len(rows) else 0


def _probabilities(rows: pl.DataFrame) -> np.ndarray:
    """P(true) and P(false): (n_rows, 2), float32."""
    return rows.select("p_true", "p_false").to_numpy()


def _rate(rows: pl.DataFrame, label: str) -> stats.Interval:
    """How often the answer is the label in a column."""
    right = patch.correct(_probabilities(rows), rows[label].to_numpy())
    return stats.rate(right, rows["subject"].to_numpy())


def _difference(true: pl.DataFrame, control: pl.DataFrame) -> dict[str, Any]:
    """True patch minus control, in accuracy and in truth, on the statements of the control."""
    paired = true.join(control.select("statement_id"), on="statement_id", how="semi")
    label, subject = (control[name].to_numpy() for name in ("label", "subject"))
    return {
        name: stats.difference(
            measure(_probabilities(paired), label), measure(_probabilities(control), label), subject
        ).row()
        for name, measure in (("accuracy", patch.correct), ("truth", patch.truth))
    }


if __name__ == "__main__":
    cli.run(main)
