"""Stage `controls`: other values written into the head set than the source's z of the statement.

Reads   --statements, --known, --prompts (folder; of both personas), --model, --heads
Writes  --out (one row a statement and run), --metrics (JSON), --plot (one point a split and run)
Params  controls, patch, readout
"""

from pathlib import Path

from stages.controls import controls, controls_tables
from stages.controls.config import Config
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.model import readout
from stages.lib.patching import cases, experiment, patch
from stages.lib.patching.patch import Head


def main(
    statements: Path,
    known: Path,
    prompts: Path,
    model: Path,
    heads: Path,
    out: Path,
    metrics: Path,
    plot: Path,
) -> None:
    """Patch the set on the report part, as it is meant and in ways that tell why it works."""
    config = params.section("patch", patch.Config)
    pair = patch.files(prompts, config)
    limit = params.section("controls", Config).limit
    words = params.section("readout", readout.Config)
    search = tables.read_json(heads)
    chosen = [Head(*head) for head in search["heads"]]
    files = (statements, known, *pair)
    found = cases.read(*files, ("report",), limit, by="split")
    averaged = cases.read(*files, ("selection",), limit, by="split")
    setting = experiment.load(config, words, found, model)
    runs = controls.runs(setting, chosen, search["window"], averaged)
    if not forward.is_main_process():
        return
    key = ["statement_id", "run"]
    tables.write(out, controls_tables.rows(found, runs), controls_tables.SCHEMA, key)
    splits = sorted(set(tables.read(statements, tables.STATEMENTS)["split"]))
    tables.write_rows(plot, controls_tables.points(found, runs, splits))
    tables.write_json(metrics, controls_tables.summarise(found, runs))


if __name__ == "__main__":
    cli.run(main)
