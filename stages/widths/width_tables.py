"""What a sweep over sizes of windows found: rows of a table, points of plots, metrics."""

from typing import Any

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.stats import run_points
from stages.widths.window_choice import DIRECTIONS, Choice, Choices, Run, Window

SCHEMA: tables.Schema = tables.PATCHED | {"part": pl.String, "size": pl.Int32}
SCHEMA |= {"first_layer": pl.Int32, "last_layer": pl.Int32}
RUNS = ("source", "patched", "base", "reverse")  # in the order of plots
ALL = "all"  # stands for every split
CHOSEN_BY = {
    "patched": "highest mean probability of the right answer, on the selection part",
    "reverse": "lowest mean probability of the right answer, on the selection part",
    "control": "the median, by that probability, of the windows without a layer of the best one",
}
NOT_CHOSEN = "nothing: the known statements of the selection part have not both labels"

Found = tuple[Cases, list[Run]]  # statements, and the runs over them
Rows = list[dict[str, Any]]


def rows(parts: dict[str, Found], config: patch.Config) -> pl.DataFrame:
    """One row a statement and run, with the columns of `SCHEMA`; unpatched runs have no layers."""
    made = []
    for part, (found, runs) in parts.items():
        for run in runs:
            window, names = run.window, _personas(run.name, config)
            patch_id = f"layers_{window.first}_{window.last}" if window else "none"
            table = patched_runs.rows(
                found, run.probabilities, names["source"], names["base"], patch_id
            )
            size = window.size if window else None
            columns = {"part": part, "size": size, **_layers(window)}
            made.append(
                table.drop("heads").with_columns(
                    pl.lit(value, SCHEMA[name]).alias(name) for name, value in columns.items()
                )
            )
    return pl.concat(made)


def by_layer(found: Found, choices: Choices, config: patch.Config) -> Rows:
    """Accuracy and truth of every window.

    Parameters
    ----------
    found : tuple of Cases and list of Run
        Statements, and the runs of all windows on them.
    choices : dict of (str, int) to Choice
        The windows that were chosen by them.
    config : Config
        Section `patch`.

    Returns
    -------
    list of dict
        Of plots/widths/layers.json: one row a size, run and window. The unpatched runs, which have
        no window, stand at the lowest and at the highest one of each size: the ends of a line.

    References
    ----------
    arXiv:2311.15131, figure 3 (windows of five layers, one direction).
    """
    statements, runs = found
    best = {(name, choice.best) for (name, _), choice in choices.items()}
    points = {
        (run.name, run.window): run_points.point(statements, run.probabilities) for run in runs
    }
    windows = list(dict.fromkeys(run.window for run in runs if run.window))
    result = []
    for size in dict.fromkeys(window.size for window in windows):
        own = [window for window in windows if window.size == size]
        for name in RUNS:
            patched = name in DIRECTIONS
            result += [
                {"run": name, **_personas(name, config), "size": size, **window.layers}
                | {"chosen": (name, window) in best}
                | points[name, window if patched else None]
                for window in (own if patched else dict.fromkeys((own[0], own[-1])))
            ]
    return result


def by_split(
    found: Found,
    choices: Choices,
    sizes: tuple[int, ...],
    splits: list[str],
    config: patch.Config,
) -> Rows:
    """Accuracy and truth of the chosen windows and of their controls, over all and by split.

    Parameters
    ----------
    found : tuple of Cases and list of Run
        Statements that did not choose, and the runs of the chosen windows on them.
    choices : dict of (str, int) to Choice
        The windows that were chosen.
    sizes : tuple of int
        All sizes.
    splits : list of str
        All splits, also those without a statement.
    config : Config
        Section `patch`.

    Returns
    -------
    list of dict
        Of plots/widths/splits.json: one row a size, split, run and `window`, which is ``best``,
        ``control``, or ``none`` in unpatched runs; those stand beside each size.
    """
    statements, runs = found
    of = {(run.name, run.window): run.probabilities for run in runs}
    result = []
    for size in sizes:
        shown: list[tuple[str, str, Window | None]] = []
        for name in RUNS:
            choice = choices.get((name, size))
            if name not in DIRECTIONS:
                shown.append((name, "none", None))
            elif choice:
                shown.append((name, "best", choice.best))
                shown += [(name, "control", choice.control)] if choice.control else []
        for split in (ALL, *splits):
            keep = (statements.table["split"] == split).to_numpy() | (split == ALL)
            result += [
                {"size": size, "split": split, "run": name, "window": kind}
                | _personas(name, config)
                | _layers(window)
                | run_points.point(statements, of[name, window], keep)
                for name, kind, window in shown
            ]
    return result


def summarise(
    parts: dict[str, Found], choices: Choices, splits: Rows, config: patch.Config
) -> dict[str, Any]:
    """Name the best windows, and what they do beside the unpatched runs and their controls.

    Parameters
    ----------
    parts : dict of str to tuple of Cases and list of Run
        By part: all windows on ``selection``, the chosen ones on ``report``.
    choices : dict of (str, int) to Choice
        The windows that were chosen.
    splits : list of dict
        From `by_split`.
    config : Config
        Section `patch`.

    Returns
    -------
    dict
        What metrics/widths.json holds.
    """
    of_direction: dict[str, dict[str, Any]] = {name: {} for name in DIRECTIONS}
    for (name, size), choice in choices.items():
        of_direction[name][str(size)] = _summary(name, choice, parts, splits)
    return {
        "source": config.source,
        "base": config.base,
        "positions": config.positions,
        "chosen_by": CHOSEN_BY if choices else NOT_CHOSEN,
        "known": {part: cases.count(found.table) for part, (found, _) in parts.items()},
        "unpatched": {
            "selection": {
                run.name: run_points.point(parts["selection"][0], run.probabilities)
                for run in parts["selection"][1]
                if run.window is None
            },
            "report": {name: _of_splits(splits, name, "none", None) for name in ("source", "base")},
        },
        **of_direction,
    }


def _summary(
    name: str, choice: Choice, parts: dict[str, Found], splits: Rows
) -> dict[str, dict[str, Any] | None]:
    """What the best window of one size and direction does, and what its control does."""
    windows = {"best": choice.best} | ({"control": choice.control} if choice.control else {})
    found: dict[str, dict[str, Any] | None] = {
        kind: {
            **window.layers,
            "selection": run_points.point(
                parts["selection"][0], _of(parts["selection"][1], name, window)
            ),
            "report": _of_splits(splits, name, kind, window.size),
        }
        for kind, window in windows.items()
    }
    report, runs = parts["report"]
    into = "base" if name == "patched" else "source"
    beside = {into: _of(runs, into, None)}
    beside |= {"control": _of(runs, name, choice.control)} if choice.control else {}
    best = _of(runs, name, choice.best)
    differences = {
        f"best - {other}": {
            measured: stats.difference(
                measure(best, report.label), measure(run, report.label), report.subject
            ).row()
            for measured, measure in (("accuracy", patch.correct), ("truth", patch.truth))
        }
        for other, run in beside.items()
    }
    apart = {"n_windows": len(choice.apart)} | {
        key: float(function(choice.apart)) if choice.apart else None
        for key, function in (("mean", np.mean), ("min", min), ("max", max))
    }
    return {"control": None, **found, "difference": differences, "apart": apart}


def _of_splits(splits: Rows, name: str, kind: str, size: int | None) -> dict[str, Any]:
    """Numbers of one run by split; of an unpatched one, which all sizes share, beside any."""
    return {
        row["split"]: run_points.numbers(row)
        for row in splits
        if row["run"] == name and row["window"] == kind and size in (None, row["size"])
    }


def _of(runs: list[Run], name: str, window: Window | None) -> np.ndarray:
    """Probabilities of one run."""
    return next(r.probabilities for r in runs if (r.name, r.window) == (name, window))


def _personas(run: str, config: patch.Config) -> dict[str, str]:
    """Personas that a run's z is from and that it answers as."""
    source, base = config.source, config.base
    pair = {"source": (source, source), "base": (base, base)}
    pair |= {"patched": (source, base), "reverse": (base, source)}
    return dict(zip(("source", "base"), pair[run], strict=True))


def _layers(window: Window | None) -> dict[str, int | None]:
    """First and last layer; None in a run that nothing is written into."""
    return dict(window.layers) if window else {"first_layer": None, "last_layer": None}
