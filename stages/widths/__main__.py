"""Stage `widths`: windows of several sizes, in both directions, by split.

Reads   --pairs, --model
Writes  --out (one row a statement and run), --metrics (JSON), --plots: layers.json (every window,
        selection part), splits.json (the best windows and their controls, report part)
Params  patch, readout, widths
"""

from dataclasses import replace
from pathlib import Path

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import cases, experiment
from stages.lib.patching.experiment import Experiment
from stages.widths import width_tables, window_choice
from stages.widths.config import Config
from stages.widths.window_choice import Run, Window


def main(
    pairs: Path,
    model: Path,
    out: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Sweep all windows on `selection`; run the best ones and their controls on `report`."""
    section = params.section("widths", Config)
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    chosen_on, config = setting.cases, setting.config
    reported = cases.read(pairs, ("report",), section.report_limit, by="split")
    n_layers, _ = setting.shape
    if max(section.sizes) > n_layers:
        raise UserError(
            f"params.yaml: widths.sizes: found {max(section.sizes)}, expected at most {n_layers}, "
            "the model's layers"
        )
    every = window_choice.every(section.sizes, n_layers)
    swept = _runs(setting, {direction: every for direction in window_choice.DIRECTIONS})
    choices = window_choice.choose(chosen_on, swept)
    windows = {name: window_choice.to_report(choices, name) for name in window_choice.DIRECTIONS}
    scored = _runs(replace(setting, cases=reported), windows)
    if not forward.is_main_process():
        return
    parts = {"selection": (chosen_on, swept), "report": (reported, scored)}
    rows = width_tables.rows(parts, config)
    tables.write(out, rows, width_tables.SCHEMA, ["statement_id", "base", "patch_id"])
    layers = width_tables.by_layer(parts["selection"], choices, config)
    names = sorted(set(tables.read(pairs, tables.PAIRS)["split"]))
    splits = width_tables.by_split(parts["report"], choices, section.sizes, names, config)
    tables.write_rows(plots / "layers.json", layers)
    tables.write_rows(plots / "splits.json", splits)
    tables.write_json(metrics, width_tables.summarise(parts, choices, splits, config))


def _runs(setting: Experiment, windows: dict[str, list[Window]]) -> list[Run]:
    """Run the windows of each direction, and both personas without any."""
    into_base, into_source = (
        patcher(window_choice.patches(windows[name], *setting.shape), f"widths, {name}")
        for name, patcher in (("patched", setting.patcher()), ("reverse", setting.reverse()))
    )
    found = [Run("source", None, into_base.source), Run("base", None, into_base.base)]
    for name, readouts in (("patched", into_base), ("reverse", into_source)):
        found += [Run(name, *pair) for pair in zip(windows[name], readouts.patched, strict=True)]
    return found


if __name__ == "__main__":
    cli.run(main)
