"""Stage `widths`: patch windows of several sizes, in both directions.

Params  patch, readout, widths
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, patch, prompt_pairs
from stages.lib.patching.experiment import Experiment
from stages.widths import window_choice, window_runs
from stages.widths.config import WidthsConfig
from stages.widths.window_runs import DIRECTIONS, SizedWindow


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    out: Annotated[
        Path,
        "writes one row per statement and run: every window on the selection split, the best "
        "windows and their controls on the report split (Parquet)",
    ],
) -> None:
    """Sweep all windows on `selection`; run the best ones and their controls on `report`."""
    section = params.section("widths", WidthsConfig)
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    report_pairs = prompt_pairs.read(pairs, ("report",), section.report_limit, by="topic")
    setting.require_layers("widths.sizes", max(section.sizes))
    all_windows = window_runs.all_windows(section.sizes, setting.lm.n_layers)
    selection_runs = _rows(setting, "selection", dict.fromkeys(DIRECTIONS, all_windows))
    choices = window_choice.choose(setting.pairs, selection_runs, setting.config)
    reported_windows = {
        direction: window_choice.to_report(choices, direction) for direction in DIRECTIONS
    }
    report_runs = _rows(replace(setting, pairs=report_pairs), "report", reported_windows)
    if forward.is_main_process():
        key = ["statement_id", "base", "patch_id"]
        tables.write(out, pl.concat([selection_runs, report_runs]), window_runs.SCHEMA, key)


def _rows(setting: Experiment, split: str, windows: dict[str, list[SizedWindow]]) -> pl.DataFrame:
    """Run the windows of each direction and both unpatched runs: one row per statement and run."""
    into_base, into_source = (
        patcher(_patches(setting, windows[name]), f"widths, {name}")
        for name, patcher in (("patched", setting.patcher()), ("reverse", setting.reverse()))
    )
    runs = [("source", None, into_base.source), ("base", None, into_base.base)]
    for name, readouts in (("patched", into_base), ("reverse", into_source)):
        runs += [(name, *pair) for pair in zip(windows[name], readouts.patched, strict=True)]
    pairs, config = setting.pairs, setting.config
    return pl.concat([window_runs.rows(pairs, split, *run, config) for run in runs])


def _patches(setting: Experiment, windows: list[SizedWindow]) -> np.ndarray:
    """Patches of all heads of these windows."""
    return patch.of_windows([window.span for window in windows], *setting.shape)


if __name__ == "__main__":
    cli.run(main)
