"""Scores of `effects`: what each head's patch does alone.

Params  patch
"""

from pathlib import Path
from typing import Annotated

from stages.effects.metrics import EffectsMetrics
from stages.lib.io import cli, params, tables
from stages.lib.io import metrics as metrics_file
from stages.lib.patching import patched_runs, single_heads
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
    tables.write_rows(plots / "effects.json", run_points.by_head(about, table, single_heads.ALONE))
    base = patched_runs.probabilities(table, patch_id="none")
    summary = EffectsMetrics(
        runs={"base": run_points.measure(about, base)},
        known=run_points.count(about.table),
        source=config.source,
        base=config.base,
    )
    metrics_file.write(metrics, summary)


if __name__ == "__main__":
    cli.run(main)
