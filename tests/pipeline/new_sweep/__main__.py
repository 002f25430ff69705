"""Stage `single_layers`: patch the source run's z into the base run, one layer at a time.

Params  patch, readout, single_layers
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, patch, patched_runs, prompt_pairs
from stages.single_layers.config import SingleLayersConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    out: Annotated[Path, "writes one row per statement and layer (Parquet)"],
) -> None:
    """Patch each layer alone, on both splits."""
    limit = params.section("single_layers", SingleLayersConfig).limit
    setting = experiment.load(pairs, model, prompt_pairs.SPLITS, limit)
    result, config = setting.pairs, setting.config
    patches = patch.windows(*setting.shape, size=1)
    readouts = setting.patcher()(patches, "single_layers")
    if not forward.is_main_process():
        return
    rows = [patched_runs.rows(result, readouts.base, config.base, config.base)]
    for layer, p in enumerate(readouts.patched):
        heads = patch.heads_of(patches[layer])
        name = f"layer_{layer}"
        rows.append(patched_runs.rows(result, p, config.source, config.base, name, heads))
    tables.write(out, pl.concat(rows), patched_runs.SCHEMA, ["statement_id", "patch_id"])


if __name__ == "__main__":
    cli.run(main)
