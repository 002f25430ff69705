"""Stage `attribution_patching`: the effect of each head, all estimated by one gradient.

Params  patch, readout
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from stages.attribution_patching import estimates
from stages.lib import forward
from stages.lib.io import cli, tables
from stages.lib.patching import experiment, head_effects, patched_runs, prompt_pairs


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    single_heads: Annotated[
        Path, "runs with each head patched, to compare the estimates with (Parquet)"
    ],
    out: Annotated[Path, "writes one row per statement and head (Parquet)"],
) -> None:
    """Estimate the effect of each head on the statements of the runs of `single_heads`."""
    patched = tables.read(single_heads, patched_runs.SCHEMA)
    setting = experiment.load(pairs, model, prompt_pairs.SPLITS, None)
    compared_pairs = setting.pairs.only(patched["statement_id"])
    attribution = (
        replace(setting, pairs=compared_pairs).patcher().attribution("attribution_patching")
    )
    if forward.is_main_process():
        rows = estimates.rows(compared_pairs, attribution, patched)
        key = ["statement_id", "layer", "head"]
        tables.write(out, rows, head_effects.EFFECTS, key)


if __name__ == "__main__":
    cli.run(main)
