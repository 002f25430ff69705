"""Stage `confidence`: accuracy of confident answers, patched and unpatched.

Params  patch
"""

from pathlib import Path
from typing import Annotated

from stages.confidence import confidence
from stages.confidence.metrics import ConfidenceMetrics
from stages.lib.io import cli, params, records, tables
from stages.lib.patching.config import PatchConfig


def main(
    statements: cli.Statements,
    transplant: Annotated[Path, "the head set's runs, on the report split (Parquet)"],
    metrics: cli.Metrics,
    plot: Annotated[Path, "writes one point per run and threshold (JSON)"],
) -> None:
    """Count the answers that reach each threshold, and the right ones among them."""
    config = params.section("patch", PatchConfig)
    table = tables.read(statements, tables.STATEMENTS)
    answered = confidence.answers(table, transplant)
    points = confidence.points(answered, config)
    tables.write_rows(plot, points)
    runs = confidence.summarise(answered, points)
    records.write(metrics, ConfidenceMetrics(config.source, config.base, runs))


if __name__ == "__main__":
    cli.run(main)
