"""Stage `ground_truth`: score the results against the layers that were trained to lie.

Params  patch
"""

from pathlib import Path
from typing import Annotated

from stages.grafts import schema as grafts_schema
from stages.ground_truth import effects, ground_truth, methods
from stages.ground_truth.effects import Effects
from stages.ground_truth.metrics import Gain, GroundTruthMetrics, LyingMetrics, NoOrganism
from stages.lib.io import cli, params, records, tables
from stages.lib.model import lm
from stages.lib.patching import best_window, head_effects, patched_runs
from stages.lib.patching.best_window import BestWindow
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.head_set import HeadSet
from stages.lib.patching.layer_window import Window
from stages.lib.probing import probe_files
from stages.lib.stats import needed_heads
from stages.trace import schema as trace_schema


def main(
    model: cli.Model,
    pairs: cli.Pairs,
    windows: Annotated[Path, "runs with each window patched (Parquet)"],
    window: Annotated[Path, "the best window (JSON)"],
    single_heads: Annotated[Path, "runs with each head patched alone (Parquet)"],
    transplant: Annotated[Path, "runs with the head set patched (Parquet)"],
    heads: cli.HeadSet,
    probes: Annotated[Path, "folder of fitted probes, with their accuracy by layer (Parquet)"],
    attribution_patching: Annotated[Path, "estimated effect of patching each head alone (Parquet)"],
    grafts: Annotated[Path, "runs with grafted weights (Parquet)"],
    trace: Annotated[Path, "folder of stage `trace`: runs by layer, place and head, and estimates"],
    out: Annotated[
        Path,
        "writes metrics, or why there are none where the model is no organism (JSON)",
    ],
    plot: Annotated[
        Path,
        "writes one row per layer: mean effect of its heads, whether trained to lie (JSON)",
    ],
) -> None:
    """Score windows, heads, probes and methods against the ground truth."""
    config = params.section("patch", PatchConfig)
    organism = tables.read_json(model / lm.MANIFEST)["organism"]
    trained = organism["layers"] if organism else []
    if trained:
        config.require_z("ground_truth")
    runs, about = patched_runs.read(single_heads, patched_runs.SCHEMA, pairs)
    single_effects = effects.effects(runs, about, config.base)
    tables.write_rows(plot, ground_truth.by_layer(single_effects, trained))
    if organism is None:
        reason = "the model is no organism: there is no ground truth to score against"
        records.write(out, NoOrganism(organism=None, reason=reason))
        return

    runs, about = patched_runs.read(windows, best_window.SCHEMA, pairs)
    window_effects = effects.effects(runs, about, config.base)
    best = records.read(window, BestWindow).window
    of_organism = GroundTruthMetrics(
        organism=organism["name"],
        trained_layers=Window(trained[0], trained[-1]) if trained else None,
        effect={
            "window": Gain.of(ground_truth.window_gain(window_effects, best)),
            "set": Gain.of(ground_truth.set_gain(transplant, pairs)),
        },
        divergence_layer=ground_truth.divergence_layer(
            probe_files.falls(probes), config.source, config.base
        ),
    )
    if not trained:
        records.write(out, of_organism)
        return
    span = range(trained[0], trained[-1] + 1)
    set_heads = records.read(heads, HeadSet).heads
    grafts_table, _ = patched_runs.read(grafts, grafts_schema.SCHEMA, pairs)
    needed = needed_heads.needed(grafts_table)
    trace_runs, about = patched_runs.read(trace / "runs.parquet", trace_schema.RUNS, pairs)
    scores = methods.scores(
        tables.read(attribution_patching, head_effects.EFFECTS),
        tables.read(trace / "estimates.parquet", trace_schema.ESTIMATES),
        best,
        set_heads,
        methods.traced(trace_runs, about, config),
        grafts_table,
        _shape(single_effects),
    )
    scored = LyingMetrics(
        **vars(of_organism),
        window=ground_truth.window(best, span, window_effects),
        heads=ground_truth.heads(single_effects, span),
        set=ground_truth.head_set(set_heads, span, single_effects),
        methods={name: methods.score(of, needed) for name, of in scores.items() if needed},
        belief=ground_truth.belief(
            probe_files.layers(probes), trained[0], config.source, config.base
        ),
    )
    records.write(out, scored)


def _shape(single_effects: Effects) -> tuple[int, int]:
    """Return the number of layers of the model, and of heads per layer."""
    n_layers = max((layers[0] for layers in single_effects.layers), default=-1) + 1
    return n_layers, len(single_effects.layers) // max(n_layers, 1)


if __name__ == "__main__":
    cli.run(main)
