"""Stage `single_heads`: patch z of the source run into the base run, one head at a time.

Params  patch, readout, single_heads
"""

from itertools import product
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, head_effects, patch, patched_runs
from stages.lib.patching.patch import Head
from stages.single_heads.config import SingleHeadsConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    out: Annotated[Path, "writes one row per statement and head (Parquet)"],
) -> None:
    """Patch each head alone, on statements of the selection split."""
    limit = params.section("single_heads", SingleHeadsConfig).limit
    setting = experiment.load(pairs, model, ("selection",), limit)
    known_pairs, config = setting.pairs, setting.config
    all_heads = [Head(*place) for place in product(*map(range, setting.shape))]
    patches = patch.of_heads([[head] for head in all_heads], *setting.shape)
    readouts = setting.patcher()(patches, "single_heads")
    if not forward.is_main_process():
        return
    rows = [patched_runs.rows(known_pairs, readouts.base, config.base, config.base)]
    for head, p in zip(all_heads, readouts.patched, strict=True):
        name = head_effects.name(head_effects.ALONE, [head])
        rows.append(patched_runs.rows(known_pairs, p, config.source, config.base, name, [head]))
    tables.write(out, pl.concat(rows), patched_runs.SCHEMA, ["statement_id", "patch_id"])


if __name__ == "__main__":
    cli.run(main)
