"""Stage `estimates`: what each head's patch does, estimated by gradient for all heads at once.

Params  patch, readout
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

from stages.estimates import effects_of_heads
from stages.lib import forward
from stages.lib.io import cli, tables
from stages.lib.patching import cases, experiment, patched_runs, single_heads


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    effects: Annotated[Path, "runs with each head truly patched, to compare with (Parquet)"],
    out: Annotated[Path, "writes one row per statement and head (Parquet)"],
) -> None:
    """Estimate by attribution patching, on the statements that `effects` has patched."""
    patched = tables.read(effects, patched_runs.SCHEMA)
    setting = experiment.load(pairs, model, cases.PARTS, None)
    found = setting.cases.only(patched["statement_id"])
    attribution = replace(setting, cases=found).patcher().attribution("estimates")
    if forward.is_main_process():
        rows = effects_of_heads.rows(found, attribution, patched)
        key = ["statement_id", "layer", "head"]
        tables.write(out, rows, single_heads.EFFECTS, key)


if __name__ == "__main__":
    cli.run(main)
