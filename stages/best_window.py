"""Stage `best_window`: the window of layers in which single heads are searched.

Params  none
"""

from pathlib import Path
from typing import Annotated

from stages.lib.io import cli, records
from stages.lib.patching import patched_runs
from stages.lib.patching.best_window import SCHEMA, BestWindow
from stages.lib.stats import chosen_window


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    out: Annotated[Path, "writes the best window (JSON)"],
) -> None:
    """Choose the best window on the selection split."""
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    records.write(out, BestWindow(chosen_window.best(table, about)))


if __name__ == "__main__":
    cli.run(main)
