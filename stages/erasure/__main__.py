"""Stage `erasure`: erase truth from z, a window of layers at a time, in each persona's own run.

Reads   --pairs, --model;
        --activations (a folder for each persona), which probes read
Writes  --out (one row a statement and run), --metrics (JSON), --plots: windows.json (one point a
        window and eraser), probes.json (one point a layer and probe)
Params  erasure, patch, probes, readout
"""

import dataclasses
from pathlib import Path

from stages.erasure import erasure_probes, erasure_runs, erasure_tables
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import cases, experiment
from stages.lib.probing import probe


def main(
    pairs: Path,
    model: Path,
    activations: Path,
    out: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Fit on the selection part, write into runs of the report part, and probe what is left."""
    settings = params.section("erasure", erasure_runs.Config)
    probes = dataclasses.replace(params.section("probes", probe.Config), permutations=0)
    fitted = cases.read(pairs, ("selection",), None, by="part")
    setting = experiment.load(pairs, model, ("report",), settings.limit)
    config = setting.config
    runs = erasure_runs.run(setting, fitted, settings)
    if not forward.is_main_process():
        return
    key = ["statement_id", "base", "patch_id"]
    tables.write(out, erasure_tables.rows(runs), erasure_tables.SCHEMA, key)
    tables.write_rows(plots / "windows.json", erasure_tables.points(runs))
    folders = {persona: activations / persona for persona in (config.source, config.base)}
    every = cases.read(pairs, cases.PARTS, None, by="part")
    checks = erasure_probes.check(folders, every, probes)
    tables.write_rows(plots / "probes.json", erasure_probes.points(checks))
    summary = {
        "source": config.source,
        "base": config.base,
        "positions": settings.positions,
        "fitted_on": cases.count(fitted.table),
        "scored_on": cases.count(runs.cases.table),
        "personas": erasure_tables.summarise(runs),
        "probes": erasure_probes.summarise(checks),
    }
    tables.write_json(metrics, summary)


if __name__ == "__main__":
    cli.run(main)
