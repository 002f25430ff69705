"""Stage `windows`: write the source run's z into the base run, one window of layers at a time.

Reads   --statements, --known, --prompts (folder; of both personas), --model
Writes  --out (one row a statement and window), --metrics (JSON), --plot (one point a window)
Params  patch, readout
"""

from pathlib import Path

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.model import readout
from stages.lib.patching import cases, experiment, patch
from stages.windows import window_tables


def main(
    statements: Path,
    known: Path,
    prompts: Path,
    model: Path,
    out: Path,
    metrics: Path,
    plot: Path,
) -> None:
    """Sweep the window over all layers; choose the best one on `selection`, report on `report`."""
    config = params.section("patch", patch.Config)
    pair = patch.files(prompts, config)
    words = params.section("readout", readout.Config)
    found = cases.read(statements, known, *pair, cases.PARTS, config.limit, by="part")
    setting = experiment.load(config, words, found, model)
    n_layers, n_heads = setting.shape
    if not 1 <= config.window <= n_layers:
        raise UserError(
            f"params.yaml: patch.window: found {config.window}, expected 1 to {n_layers}, "
            "the model's layers"
        )
    patches = patch.windows(n_layers, n_heads, config.window)
    readouts = setting.patcher()(patches, "windows")
    if not forward.is_main_process():
        return
    rows = window_tables.rows(found, readouts, patches, config)
    tables.write(out, rows, window_tables.SCHEMA, ["statement_id", "base", "patch_id"])
    points = window_tables.points(found, readouts, config)
    tables.write_rows(plot, points)
    best = window_tables.best(found, points)
    tables.write_json(metrics, window_tables.summarise(found, points, best, config))


if __name__ == "__main__":
    cli.run(main)
