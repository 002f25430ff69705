"""Stage `ground_truth`: what was found, against the layers that the lie was planted in.

Params  patch
"""

from pathlib import Path
from typing import Annotated

from stages.ground_truth import effects, ground_truth
from stages.ground_truth.metrics import (
    Gain,
    GroundTruthMetrics,
    NoOrganism,
    PlantedMetrics,
)
from stages.lib.io import cli, metrics, params, tables
from stages.lib.model import lm
from stages.lib.patching import best_window, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.probing import probe_files
from stages.lib.stats.windows import Window


def main(
    model: cli.Model,
    pairs: cli.Pairs,
    windows: Annotated[Path, "runs with each window patched (Parquet)"],
    single_heads: Annotated[Path, "runs with each head patched alone (Parquet)"],
    transplant: Annotated[Path, "runs with the head set patched (Parquet)"],
    heads: cli.HeadSet,
    probes: Annotated[Path, "folder of fitted probes, with their accuracy by layer (Parquet)"],
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
    runs, about = patched_runs.read(single_heads, patched_runs.SCHEMA, pairs)
    alone = effects.effects(runs, about, config.base)
    organism = tables.read_json(model / lm.MANIFEST)["organism"]
    planted = organism["layers"] if organism else []
    tables.write_rows(plot, ground_truth.by_layer(alone, planted))
    if organism is None:
        reason = "the model is no organism: there is no ground truth to score against"
        metrics.write(out, NoOrganism(organism=None, reason=reason))
        return

    runs, about = patched_runs.read(windows, best_window.SCHEMA, pairs)
    swept, best = effects.effects(runs, about, config.base), best_window.best(runs, about)
    result = GroundTruthMetrics(
        organism=organism["name"],
        planted=Window(planted[0], planted[-1]) if planted else None,
        effect={
            "window": Gain.of(ground_truth.window_gain(swept, best)),
            "set": Gain.of(ground_truth.set_gain(transplant, pairs)),
        },
        parting_layer=ground_truth.parting(probe_files.falls(probes), config.source, config.base),
    )
    if not planted:
        metrics.write(out, result)
        return

    span = range(planted[0], planted[-1] + 1)
    chosen = tables.read_json(heads)["heads"]
    accuracy = probe_files.layers(probes)
    scored = PlantedMetrics(
        **vars(result),
        window=ground_truth.window(best, span, swept),
        heads=ground_truth.heads(alone, span),
        set=ground_truth.head_set(chosen, span, alone),
        belief=ground_truth.belief(accuracy, planted[0], config.source, config.base),
    )
    metrics.write(out, scored)


if __name__ == "__main__":
    cli.run(main)
