"""Scores of `effects`: what each head's patch does alone.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

import polars as pl

from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes effects.json (one row per head) into this folder"],
) -> None:
    """Compare each head's run with the base run."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, patched_runs.SCHEMA, pairs)
    tables.write_rows(plots / "effects.json", by_head(about, table))
    base = patched_runs.probabilities(table, patch_id="none")
    summary = {
        "source": config.source,
        "base": config.base,
        "known": cases.count(about.table),
        "runs": {"base": run_points.point(about, base)},
    }
    tables.write_json(metrics, summary)


def by_head(about: Cases, runs: pl.DataFrame) -> list[dict[str, Any]]:
    """Accuracy and truth with each head patched alone, and the truth that it gains.

    Returns
    -------
    list of dict
        One row per head, layer by layer: of plots/effects/effects.json.
    """
    base = patched_runs.probabilities(runs, patch_id="none")
    points = []
    for head, p in patched_runs.single_heads(runs):
        point = run_points.point(about, p) | run_points.effect(about, p, base)
        points.append({"measure": "alone", **head._asdict(), **point})
    return points


if __name__ == "__main__":
    cli.run(main)
