"""Scores of `windows`: accuracy and p_correct by window, and the best window.

Params  patch
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import best_window, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.layer_window import Window
from stages.lib.patching.prompt_pairs import SPLITS, PromptPairs
from stages.lib.stats import chosen_window, run_points
from stages.lib.stats.run_points import Point
from stages.windows.metrics import WindowsMetrics


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes windows.json (one row per split, window and run) into this folder",
    ],
) -> None:
    """Choose the best window on `selection`, and score it on both splits."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, best_window.SCHEMA, pairs)
    points = by_window(about, table, config)
    tables.write_rows(plots / "windows.json", points)
    records.write(metrics, summarise(about, table, points, config))


def by_window(about: PromptPairs, runs: pl.DataFrame, config: PatchConfig) -> list[Row]:
    """Return accuracy and p_correct of each window, beside both unpatched runs.

    Returns
    -------
    list of dict
        Rows of plots/windows/windows.json, one per split, run (``patched``, ``source``, ``base``)
        and window.

    References
    ----------
    arXiv:2311.15131, figure 3.
    """
    windows = chosen_window.windows(runs)
    patched = [patched_runs.probabilities(runs, **window.columns) for window in windows]
    result: list[Row] = []
    for split in SPLITS:
        in_split = (about.table["split"] == split).to_numpy()
        unpatched = _unpatched(about, runs, split, config)
        for window, p in zip(windows, patched, strict=True):
            points = {"patched": run_points.measure(about, p, in_split)} | unpatched
            result += [
                {"split": split, "run": run, **config.personas, **window.columns, **point.row()}
                for run, point in points.items()
            ]
    return result


def summarise(
    about: PromptPairs, runs: pl.DataFrame, points: list[Row], config: PatchConfig
) -> WindowsMetrics:
    """Collect the best window, and its runs on both splits.

    Parameters
    ----------
    about : PromptPairs
        The statements.
    runs : DataFrame
        With the columns of `best_window.SCHEMA`.
    points : list of dict
        From `by_window`.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    WindowsMetrics
        Where there is no best window, with the unpatched runs alone.
    """
    best = chosen_window.best(runs, about)
    return WindowsMetrics(
        best=best,
        as_accurate=as_accurate(points, chosen_window.windows(runs), best) if best else {},
        chosen_by=chosen_window.CHOSEN_BY if best else chosen_window.NOT_CHOSEN,
        runs={
            split: {
                str(point["run"]): Point.of(point)
                for point in points
                if point["split"] == split and point["first_layer"] == best.first_layer
            }
            if best
            else _unpatched(about, runs, split, config)
            for split in SPLITS
        },
        known={
            split: run_points.count(about.table.filter(pl.col("split") == split))
            for split in SPLITS
        },
        source=config.source,
        base=config.base,
        positions=config.positions,
    )


def as_accurate(points: list[Row], windows: list[Window], best: Window) -> dict[str, float | None]:
    """Return mean p_correct of windows as accurate as the best one, on the selection split.

    Parameters
    ----------
    points : list of dict
        From `by_window`.
    windows : list of Window
        Every window.
    best : Window
        The best one, which is left out.

    Returns
    -------
    dict of str to float or None
        By first layer of the window.
    """
    measured = {
        row["first_layer"]: Point.of(row)
        for row in points
        if (row["split"], row["run"]) == ("selection", "patched")
    }
    accuracy = measured[best.first_layer].accuracy
    layers = [window.first_layer for window in windows if window != best]
    return {
        str(layer): measured[layer].p_correct
        for layer in layers
        if measured[layer].accuracy == accuracy
    }


def _unpatched(
    about: PromptPairs, runs: pl.DataFrame, split: str, config: PatchConfig
) -> dict[str, Point]:
    """Return accuracy and p_correct of both unpatched runs."""
    in_split = (about.table["split"] == split).to_numpy()
    return {
        role: run_points.measure(
            about,
            patched_runs.probabilities(runs, patch_id=patched_runs.UNPATCHED, base=persona),
            in_split,
        )
        for role, persona in config.personas.items()
    }


if __name__ == "__main__":
    cli.run(main)
