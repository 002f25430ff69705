"""Stage `windows`: write the source run's z into the base run, one window of layers at a time.

Reads   --pairs, --model
Writes  --out (one row a statement and window), --metrics (JSON), --plot (one point a window)
Params  patch, readout, windows
"""

from pathlib import Path

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import cases, experiment, patch
from stages.windows import window_tables
from stages.windows.config import Config


def main(
    pairs: Path,
    model: Path,
    out: Path,
    metrics: Path,
    plot: Path,
) -> None:
    """Sweep the window over all layers; choose the best one on `selection`, report on `report`."""
    section = params.section("windows", Config)
    setting = experiment.load(pairs, model, cases.PARTS, section.limit)
    found, config = setting.cases, setting.config
    n_layers, n_heads = setting.shape
    if section.size > n_layers:
        raise UserError(
            f"params.yaml: windows.size: found {section.size}, expected 1 to {n_layers}, "
            "the model's layers"
        )
    patches = patch.windows(n_layers, n_heads, section.size)
    readouts = setting.patcher()(patches, "windows")
    if not forward.is_main_process():
        return
    rows = window_tables.rows(found, readouts, patches, config, section.size)
    tables.write(out, rows, window_tables.SCHEMA, ["statement_id", "base", "patch_id"])
    points = window_tables.points(found, readouts, config, section.size)
    tables.write_rows(plot, points)
    best = window_tables.best(found, points)
    tables.write_json(metrics, window_tables.summarise(found, points, best, config, section.size))


if __name__ == "__main__":
    cli.run(main)
