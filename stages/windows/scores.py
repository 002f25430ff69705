"""Scores of `windows`: what the patch does, by window, and which window does most.

Params  patch
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib.io import cli, params, tables
from stages.lib.io import metrics as metrics_file
from stages.lib.io.tables import Row
from stages.lib.patching import best_window, patched_runs
from stages.lib.patching.cases import PARTS, Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points
from stages.lib.stats.run_points import Point
from stages.lib.stats.windows import Window
from stages.windows.metrics import WindowsMetrics


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes windows.json (one row per part, window and run) into this folder",
    ],
) -> None:
    """Choose the best window on `selection`, report on `report`."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, best_window.SCHEMA, pairs)
    points = by_window(about, table, config)
    tables.write_rows(plots / "windows.json", points)
    metrics_file.write(metrics, summarise(about, table, points, config))


def by_window(about: Cases, runs: pl.DataFrame, config: PatchConfig) -> list[Row]:
    """Accuracy and truth of each window beside both baselines.

    Returns
    -------
    list of dict
        One row per part, run (``patched``, ``source``, ``base``) and window: of
        plots/windows/windows.json.

    References
    ----------
    arXiv:2311.15131, figure 3.
    """
    windows = best_window.windows(runs)
    patched = [patched_runs.probabilities(runs, **layers) for layers in windows]
    personas = {"source": config.source, "base": config.base}
    result: list[Row] = []
    for part in PARTS:
        chosen = (about.table["part"] == part).to_numpy()
        unpatched = _unpatched(about, runs, part, config)
        for layers, p in zip(windows, patched, strict=True):
            points = {"patched": run_points.measure(about, p, chosen)} | unpatched
            result += [
                {"part": part, "run": run, **personas, **layers, **point.row()}
                for run, point in points.items()
            ]
    return result


def summarise(
    about: Cases, runs: pl.DataFrame, points: list[Row], config: PatchConfig
) -> WindowsMetrics:
    """Name the best window, and what it does on both parts.

    Parameters
    ----------
    about : Cases
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
        Without a best window, the unpatched runs alone.
    """
    best = best_window.best(runs, about)
    return WindowsMetrics(
        best=Window(**best) if best else None,
        chosen_by=best_window.CHOSEN_BY if best else best_window.NOT_CHOSEN,
        runs={
            part: {
                str(point["run"]): Point.of(point)
                for point in points
                if point["part"] == part and point["first_layer"] == best["first_layer"]
            }
            if best
            else _unpatched(about, runs, part, config)
            for part in PARTS
        },
        known={
            part: run_points.count(about.table.filter(pl.col("part") == part)) for part in PARTS
        },
        source=config.source,
        base=config.base,
        positions=config.positions,
    )


def _unpatched(
    about: Cases, runs: pl.DataFrame, part: str, config: PatchConfig
) -> dict[str, Point]:
    """Accuracy and truth of both runs that nothing is patched into."""
    chosen = (about.table["part"] == part).to_numpy()
    personas = {"source": config.source, "base": config.base}
    return {
        role: run_points.measure(
            about, patched_runs.probabilities(runs, patch_id="none", base=persona), chosen
        )
        for role, persona in personas.items()
    }


if __name__ == "__main__":
    cli.run(main)
