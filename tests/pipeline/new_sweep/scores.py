"""Scores of `single_layers`: what the patch does, by layer, and which layer does most.

Params  patch
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib.io import cli, params, records, tables
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import SPLITS, PromptPairs
from stages.lib.stats import run_points
from stages.lib.stats.run_points import Point
from stages.single_layers.metrics import SingleLayersMetrics

LAYER = pl.col("heads").list.first().struct.field("layer")  # null in the base run


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path, "writes layers.json (one row per split, layer and run) into this folder"
    ],
) -> None:
    """Choose the best layer on `selection`, report on `report`."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, patched_runs.SCHEMA, pairs)
    table = table.with_columns(layer=LAYER)
    layers = table["layer"].drop_nulls().unique().sort().to_list()
    points = {
        (split, layer): _point(about, table, split, layer)
        for split in SPLITS
        for layer in (None, *layers)
    }
    personas = {"source": config.source, "base": config.base}
    rows = [
        {"split": split, "run": run, **personas, "layer": layer, **points[split, written].row()}
        for split in SPLITS
        for layer in layers
        for run, written in (("patched", layer), ("base", None))
    ]
    tables.write_rows(plots / "layers.json", rows)
    best = max(layers, key=lambda layer: points["selection", layer].p_correct or 0.0, default=None)
    patched, base = points["report", best], points["report", None]
    records.write(metrics, SingleLayersMetrics(best, patched, base))


def _point(about: PromptPairs, table: pl.DataFrame, split: str, layer: int | None) -> Point:
    """Accuracy and p_correct of the run that patches a layer, or of the base run, on one split."""
    chosen = (about.table["split"] == split).to_numpy()
    return run_points.measure(about, patched_runs.probabilities(table, layer=layer), chosen)


if __name__ == "__main__":
    cli.run(main)
