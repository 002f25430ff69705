"""Stage `localisation`: what was found, against the layers that the lie was planted in.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

from stages.lib.io import cli, params, tables
from stages.lib.model import lm
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.localisation import gains, localisation

STAGES = ("probes", "windows", "transplant")


def main(
    model: cli.Model,
    statements: cli.Statements,
    windows: Annotated[Path, "runs with each window patched (Parquet)"],
    effects: Annotated[Path, "runs with each head patched alone (Parquet)"],
    heads: cli.HeadSet,
    probes: Annotated[Path, "accuracy of probes by layer (JSON)"],
    metrics: cli.MetricsFolder,
    out: Annotated[
        Path,
        "writes metrics, or only the reason where the model is no organism (JSON)",
    ],
    plot: Annotated[
        Path,
        "writes one row per layer: what its heads alone do, and whether it is planted (JSON)",
    ],
) -> None:
    """Score windows, heads and probes."""
    config = params.section("patch", PatchConfig)
    table = tables.read(statements, tables.STATEMENTS)
    alone = gains.gains(tables.read(effects, patched_runs.SCHEMA), table, config.base)
    organism = tables.read_json(model / lm.MANIFEST)["organism"]
    planted = organism["layers"] if organism else []
    tables.write_rows(plot, localisation.by_layer(alone, planted))
    if organism is None:
        reason = "the model is no organism: there is no ground truth to score against"
        tables.write_json(out, {"organism": None, "reason": reason})
        return
    stage = {name: tables.read_json(metrics / f"{name}.json") for name in STAGES}
    swept = gains.gains(tables.read(windows, patched_runs.SCHEMA), table, config.base)
    chosen = tables.read_json(heads)["heads"]
    result: dict[str, Any] = {
        "organism": organism["name"],
        "planted": {"first_layer": planted[0], "last_layer": planted[-1]} if planted else None,
        "gain": localisation.gain(swept, stage["windows"]["best"], stage["transplant"]),
        "parting_layer": localisation.parting(
            stage["probes"]["cosine"], config.source, config.base
        ),
    }
    if planted:
        rows = tables.read_json(probes)
        span = range(planted[0], planted[-1] + 1)
        result["window"] = localisation.window(stage["windows"]["best"], span, swept)
        result["heads"] = localisation.heads(alone, span)
        result["set"] = localisation.head_set(chosen, span, alone)
        result["belief"] = localisation.belief(rows, planted[0], config.source, config.base)
    tables.write_json(out, result)


if __name__ == "__main__":
    cli.run(main)
