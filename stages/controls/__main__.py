"""Stage `controls`: other values patched into the head set than the source's z of the statement.

Params  controls, patch, readout
"""

from pathlib import Path
from typing import Annotated

from stages.controls import controls, controls_tables
from stages.controls.config import ControlsConfig
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, prompt_pairs
from stages.lib.patching.patch import Head


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[Path, "writes one row per statement and run (Parquet)"],
) -> None:
    """Patch the set on the report split: the real patch, and its controls."""
    limit = params.section("controls", ControlsConfig).limit
    search = tables.read_json(heads)
    chosen = [Head(*head) for head in search["heads"]]
    setting = experiment.load(pairs, model, ("report",), limit, by="topic")
    averaged = prompt_pairs.read(pairs, ("selection",), limit, by="topic")
    rows = controls.runs(setting, chosen, search["window"], averaged)
    if forward.is_main_process():
        tables.write(out, rows, controls_tables.SCHEMA, ["statement_id", "run"])


if __name__ == "__main__":
    cli.run(main)
