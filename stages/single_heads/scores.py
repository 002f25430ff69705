"""Scores of `single_heads`: the effect of patching each head alone.

Params  patch
"""

from pathlib import Path
from typing import Annotated

from stages.lib.io import cli, params, records, tables
from stages.lib.patching import head_effects, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import run_points
from stages.single_heads.metrics import SingleHeadsMetrics


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes single_heads.json (one row per head) into this folder"],
) -> None:
    """Compare the run with each head patched alone with the base run."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, patched_runs.SCHEMA, pairs)
    tables.write_rows(
        plots / "single_heads.json", run_points.by_head(about, table, head_effects.ALONE)
    )
    base = patched_runs.probabilities(table, patch_id=patched_runs.UNPATCHED)
    summary = SingleHeadsMetrics(
        runs={"base": run_points.measure(about, base)},
        known=run_points.count(about.table),
        source=config.source,
        base=config.base,
    )
    records.write(metrics, summary)


if __name__ == "__main__":
    cli.run(main)
