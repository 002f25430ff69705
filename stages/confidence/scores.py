"""Scores of `confidence`: accuracy of confident answers in the runs of `transplant`.

Params  patch
"""

from pathlib import Path
from typing import Annotated

from stages.confidence import confidence
from stages.confidence.metrics import ConfidenceMetrics
from stages.lib.io import cli, params, records, tables
from stages.lib.patching.config import PatchConfig


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path, "writes thresholds.json (one row per run and threshold) into this folder"
    ],
) -> None:
    """Count the answers that reach each threshold, and the right ones among them."""
    config = params.section("patch", PatchConfig)
    answered = confidence.answers(tables.read(pairs, tables.PAIRS), runs)
    points = confidence.points(answered, config)
    tables.write_rows(plots / "thresholds.json", points)
    by_run = confidence.summarise(answered, points)
    records.write(metrics, ConfidenceMetrics(config.source, config.base, by_run))


if __name__ == "__main__":
    cli.run(main)
