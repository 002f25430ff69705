"""Stage `controls`: patch in other heads, or other values than the source's z of the statement.

Params  controls, patch, readout
"""

from pathlib import Path
from typing import Annotated

from stages.controls import controls, schema
from stages.controls.config import ControlsConfig
from stages.lib import forward
from stages.lib.io import cli, params, records, tables
from stages.lib.patching import experiment, prompt_pairs
from stages.lib.patching.head_set import HeadSet


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[Path, "writes one row per statement and run (Parquet)"],
) -> None:
    """Run the real patch of the head set and its controls on the report split."""
    limit = params.section("controls", ControlsConfig).limit
    head_set = records.read(heads, HeadSet)
    setting = experiment.load(pairs, model, ("report",), limit, by="topic")
    averaged_pairs = prompt_pairs.read(pairs, ("selection",), limit, by="topic")
    rows = controls.runs(setting, head_set.heads, head_set.window, averaged_pairs)
    if forward.is_main_process():
        tables.write(out, rows, schema.SCHEMA, ["statement_id", "run"])


if __name__ == "__main__":
    cli.run(main)
