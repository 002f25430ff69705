"""Stage `erasure`: erase truth from z, a window of layers at a time, in each persona's own run.

Params  erasure, patch, probes, readout
"""

import dataclasses
from pathlib import Path
from typing import Annotated

from stages.erasure import erasure_probes, erasure_runs, schema
from stages.erasure.config import ErasureConfig
from stages.lib import forward
from stages.lib.io import cli, params, records, tables
from stages.lib.io.atomic import atomic
from stages.lib.patching import experiment, prompt_pairs
from stages.lib.patching.best_window import BestWindow
from stages.lib.patching.config import PatchConfig
from stages.lib.probing.config import ProbesConfig


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    activations: cli.Activations,
    window: Annotated[Path, "the best window: near it the controls have all their draws (JSON)"],
    out: Annotated[
        Path,
        "writes runs.parquet (one row per statement and run) and probes.parquet (one per "
        "statement, probe, kind of z, layer and persona) into this folder",
    ],
) -> None:
    """Fit erasers on the selection split, patch runs of the report split, and probe erased z."""
    settings = params.section("erasure", ErasureConfig)
    params.section("patch", PatchConfig).require_z("erasure")
    probe_settings = dataclasses.replace(params.section("probes", ProbesConfig), permutations=0)
    selection_pairs = prompt_pairs.read(pairs, ("selection",), None, by="split")
    setting = experiment.load(pairs, model, ("report",), settings.limit)
    best = records.read(window, BestWindow).window
    layers = best.layers if best else None
    runs = erasure_runs.run(setting, selection_pairs, settings, layers)
    if not forward.is_main_process():
        return
    personas = (setting.config.source, setting.config.base)
    all_pairs = prompt_pairs.read(pairs, prompt_pairs.SPLITS, None, by="split")
    checks = erasure_probes.check(
        {name: activations / name for name in personas}, all_pairs, probe_settings
    )
    run_key = ["statement_id", "base", "patch_id"]
    probe_key = ["persona", "probe", "z", "layer", "statement_id"]
    with atomic(out) as folder:
        tables.write(folder / "runs.parquet", runs, schema.RUNS, run_key)
        tables.write(folder / "probes.parquet", checks, schema.PROBED, probe_key)


if __name__ == "__main__":
    cli.run(main)
