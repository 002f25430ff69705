"""Stage `windows`: patch z of the source run into the base run, one window of layers at a time.

Params  patch, readout, windows
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.lib import forward
from stages.lib.forward import Readouts
from stages.lib.io import cli, params, tables
from stages.lib.patching import best_window, experiment, patch, patched_runs, prompt_pairs
from stages.lib.patching.experiment import Experiment
from stages.windows.config import WindowsConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    out: Annotated[Path, "writes one row per statement and window (Parquet)"],
) -> None:
    """Patch each window of consecutive layers, on both splits."""
    section = params.section("windows", WindowsConfig)
    setting = experiment.load(pairs, model, prompt_pairs.SPLITS, section.limit)
    setting.require_layers("windows.size", section.size)
    patches = patch.windows(*setting.shape, section.size)
    readouts = setting.patcher()(patches, "windows")
    if forward.is_main_process():
        rows = _rows(setting, readouts, patches, section.size)
        tables.write(out, rows, best_window.SCHEMA, ["statement_id", "base", "patch_id"])


def _rows(setting: Experiment, readouts: Readouts, patches: np.ndarray, size: int) -> pl.DataFrame:
    """Return one row per statement and run; unpatched runs have no layers."""
    pairs, config = setting.pairs, setting.config
    schema = best_window.SCHEMA
    parts = [patched_runs.unpatched(pairs, readouts.source, readouts.base, config, schema=schema)]
    for first, p in enumerate(readouts.patched):
        name, heads = f"window_{first}", patch.heads_of(patches[first])
        layers = {"first_layer": first, "last_layer": first + size - 1}
        parts.append(
            patched_runs.rows(pairs, p, config.source, config.base, name, heads, schema, **layers)
        )
    return pl.concat(parts)


if __name__ == "__main__":
    cli.run(main)
