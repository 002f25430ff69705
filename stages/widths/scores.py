"""Scores of `widths`: every window on the selection part, and the best ones on the report part.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import PARTS, Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points
from stages.widths import window_choice, window_runs
from stages.widths.window_choice import Choice, Choices
from stages.widths.window_runs import DIRECTIONS, RUNS, Window

ALL = "all"  # stands for every split
CHOSEN_BY = {
    "patched": "highest mean probability of the right answer, on the selection part",
    "reverse": "lowest mean probability of the right answer, on the selection part",
    "control": "the median, by that probability, of the windows without a layer of the best one",
}
NOT_CHOSEN = "nothing: the known statements of the selection part have not both labels"

Found = tuple[Cases, pl.DataFrame]  # statements, and the runs over them
Rows = list[dict[str, Any]]


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes layers.json (one row per size, run and window, selection part) and "
        "splits.json (one row per size, split, run and chosen window, report part) into this "
        "folder",
    ],
) -> None:
    """Choose on `selection` what the sweep chose there, and report on `report`."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, window_runs.SCHEMA, pairs)
    parts = {part: _of_part(about, table, part) for part in PARTS}
    choices = window_choice.choose(*parts["selection"], config)
    tables.write_rows(plots / "layers.json", by_layer(parts["selection"], choices, config))
    names = sorted(set(tables.read(pairs, tables.PAIRS)["split"]))
    sizes = tuple(dict.fromkeys(window.size for window in window_runs.windows(table)))
    splits = by_split(parts["report"], choices, sizes, names, config)
    tables.write_rows(plots / "splits.json", splits)
    tables.write_json(metrics, summarise(parts, choices, splits, config))


def by_layer(found: Found, choices: Choices, config: PatchConfig) -> Rows:
    """Accuracy and truth of every window.

    Parameters
    ----------
    found : tuple of Cases and DataFrame
        Statements, and the runs of all windows on them.
    choices : dict of (str, int) to Choice
        The windows that were chosen by them.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Of plots/widths/layers.json: one row per size, run and window. The unpatched runs, which
        have no window, stand at the lowest and at the highest one of each size: the ends of a line.

    References
    ----------
    arXiv:2311.15131, figure 3 (windows of five layers, one direction).
    """
    statements, runs = found
    best = {(name, choice.best) for (name, _), choice in choices.items()}
    windows, result = window_runs.windows(runs), []
    for size in dict.fromkeys(window.size for window in windows):
        own = [window for window in windows if window.size == size]
        for name in RUNS:
            patched = name in DIRECTIONS
            for window in own if patched else dict.fromkeys((own[0], own[-1])):
                p = window_runs.probabilities(runs, name, window if patched else None, config)
                result.append(
                    {"run": name, **window_runs.personas(name, config), "size": size}
                    | {**window.layers, "chosen": (name, window) in best}
                    | run_points.point(statements, p)
                )
    return result


def by_split(
    found: Found,
    choices: Choices,
    sizes: tuple[int, ...],
    splits: list[str],
    config: PatchConfig,
) -> Rows:
    """Accuracy and truth of the chosen windows and of their controls, over all and by split.

    Parameters
    ----------
    found : tuple of Cases and DataFrame
        Statements that did not choose, and the runs of the chosen windows on them.
    choices : dict of (str, int) to Choice
        The windows that were chosen.
    sizes : tuple of int
        All sizes.
    splits : list of str
        All splits, also those without a statement.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Of plots/widths/splits.json: one row per size, split, run and `window`, which is ``best``,
        ``control``, or ``none`` in unpatched runs; those stand beside each size.
    """
    statements, runs = found
    result = []
    for size in sizes:
        shown = _shown(choices, size)
        of = {
            (name, window): window_runs.probabilities(runs, name, window, config)
            for name, _, window in shown
        }
        for split in (ALL, *splits):
            keep = (statements.table["split"] == split).to_numpy() | (split == ALL)
            result += [
                {"size": size, "split": split, "run": name, "window": kind}
                | window_runs.personas(name, config)
                | window_runs.layers(window)
                | run_points.point(statements, of[name, window], keep)
                for name, kind, window in shown
            ]
    return result


def summarise(
    parts: dict[str, Found], choices: Choices, splits: Rows, config: PatchConfig
) -> dict[str, Any]:
    """Name the best windows, and what they do beside the unpatched runs and their controls.

    Parameters
    ----------
    parts : dict of str to tuple of Cases and DataFrame
        By part: all windows on ``selection``, the chosen ones on ``report``.
    choices : dict of (str, int) to Choice
        The windows that were chosen.
    splits : list of dict
        From `by_split`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    dict
        What metrics/widths.json holds.
    """
    statements, runs = parts["selection"]
    unpatched = {
        name: window_runs.probabilities(runs, name, None, config) for name in ("source", "base")
    }
    of_direction: dict[str, dict[str, Any]] = {name: {} for name in DIRECTIONS}
    for (name, size), choice in choices.items():
        of_direction[name][str(size)] = _summary(name, choice, parts, splits, config)
    return {
        "source": config.source,
        "base": config.base,
        "positions": config.positions,
        "chosen_by": CHOSEN_BY if choices else NOT_CHOSEN,
        "known": {part: cases.count(found.table) for part, (found, _) in parts.items()},
        "unpatched": {
            "selection": {name: run_points.point(statements, p) for name, p in unpatched.items()},
            "report": {name: _of_splits(splits, name, "none", None) for name in unpatched},
        },
        **of_direction,
    }


def _of_part(about: Cases, runs: pl.DataFrame, part: str) -> Found:
    """Statements and runs of one part."""
    own = runs.filter(pl.col("part") == part)
    return about.only(own["statement_id"]), own


def _shown(choices: Choices, size: int) -> list[tuple[str, str, Window | None]]:
    """Runs of one size on the report part: name, kind of window, and window."""
    shown: list[tuple[str, str, Window | None]] = []
    for name in RUNS:
        choice = choices.get((name, size))
        if name not in DIRECTIONS:
            shown.append((name, "none", None))
        elif choice:
            shown += [(name, kind, window) for kind, window in _windows(choice).items()]
    return shown


def _windows(choice: Choice) -> dict[str, Window]:
    """The best window, and its control where there is one."""
    return {"best": choice.best} | ({"control": choice.control} if choice.control else {})


def _summary(
    name: str, choice: Choice, parts: dict[str, Found], splits: Rows, config: PatchConfig
) -> dict[str, Any]:
    """What the best window of one size and direction does, and what its control does."""
    (selection, swept), (report, runs) = parts["selection"], parts["report"]
    windows = _windows(choice)
    scored = {
        kind: {
            **window.layers,
            "selection": run_points.point(
                selection, window_runs.probabilities(swept, name, window, config)
            ),
            "report": _of_splits(splits, name, kind, window.size),
        }
        for kind, window in windows.items()
    }
    p = {kind: window_runs.probabilities(runs, name, w, config) for kind, w in windows.items()}
    into = "base" if name == "patched" else "source"
    beside = {into: window_runs.probabilities(runs, into, None, config)}
    beside |= {kind: p[kind] for kind in p if kind != "best"}
    differences = {
        f"best - {other}": _difference(report, p["best"], run) for other, run in beside.items()
    }
    apart = {"n_windows": len(choice.apart)} | {
        key: float(function(choice.apart)) if choice.apart else None
        for key, function in (("mean", np.mean), ("min", min), ("max", max))
    }
    return {"control": None, **scored, "difference": differences, "apart": apart}


def _difference(about: Cases, a: np.ndarray, b: np.ndarray) -> dict[str, Any]:
    """One run minus another, in accuracy and in truth."""
    return {
        name: stats.difference(
            measure(a, about.label), measure(b, about.label), about.subject
        ).row()
        for name, measure in (("accuracy", patch.correct), ("truth", patch.truth))
    }


def _of_splits(splits: Rows, name: str, kind: str, size: int | None) -> dict[str, Any]:
    """Numbers of one run by split; of an unpatched one, which all sizes share, beside any."""
    return {
        row["split"]: run_points.numbers(row)
        for row in splits
        if row["run"] == name and row["window"] == kind and size in (None, row["size"])
    }


if __name__ == "__main__":
    cli.run(main)
