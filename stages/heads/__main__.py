"""Stage `heads`: the smallest set of heads in the best window that keeps what the window does.

Reads   --pairs, --model,
        --windows (the runs that the best window is chosen from)
Writes  --heads (the set, and how it was chosen), --out (one row a statement and patch),
        --metrics (JSON), --plots: heads.json (each head alone and left out), sets.json (the search)
Params  heads, patch, readout, the wordings of both personas (copied into --heads)
"""

from pathlib import Path
from typing import Any

import polars as pl

from stages.heads import head_search
from stages.heads.config import Config
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import best_window, cases, experiment, patch, patched_runs


def main(
    pairs: Path,
    model: Path,
    windows: Path,
    heads: Path,
    out: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Search on the selection part only; `transplant` scores the set on the report part."""
    section = params.section("heads", Config)
    best = best_window.best(*patched_runs.read(windows, best_window.SCHEMA, pairs))
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    chosen, config = setting.cases, setting.config
    provenance = _provenance(setting.lm.identity, chosen, config)
    found = head_search.Search(setting.patcher(keep=True), chosen, *setting.shape)
    result = head_search.search(found, best, section.keep) if best else head_search.nothing()
    if not forward.is_main_process():
        return
    rows = [
        patched_runs.rows(chosen, probabilities, config.source, config.base, patch_id, written)
        for patch_id, (written, probabilities) in found.runs.items()
    ]
    table = pl.concat(rows) if rows else pl.DataFrame(schema=patched_runs.SCHEMA)
    tables.write(out, table, patched_runs.SCHEMA, ["statement_id", "patch_id"])
    tables.write_rows(plots / "heads.json", result["heads"])
    tables.write_rows(plots / "sets.json", result["sets"])
    tables.write_json(metrics, result["metrics"])
    tables.write_json(heads, result["set"] | provenance)


def _provenance(identity: str, chosen: cases.Cases, config: patch.Config) -> dict[str, Any]:
    """Which model, wordings and statements the set was chosen on."""
    return {
        "model": identity,
        "question": params.wording("question"),
        **{
            role: {
                "persona": persona,
                "system": params.wording(f"{persona}_system"),
                "prefix": params.wording(f"{persona}_prefix"),
            }
            for role, persona in (("source", config.source), ("base", config.base))
        },
        "part": "selection",
        "splits": sorted(set(chosen.table["split"])),
        "n_statements": len(chosen.table),
        "positions": config.positions,
    }


if __name__ == "__main__":
    cli.run(main)
