"""Stage `figures`: the plot tables as pictures.

Params  none: names of personas, splits, layers and heads are those of the tables
"""

from pathlib import Path
from typing import Annotated

from stages.attribution import figure as attribution
from stages.behaviour import figure as behaviour
from stages.cells import figure as grid
from stages.confidence import figure as confidence
from stages.controls import figure as controls
from stages.curves import figure as curves
from stages.erasure import figure as erasure
from stages.estimates import figure as estimates
from stages.figures import overview
from stages.heads import figure as heads
from stages.lib.drawing import load, style
from stages.lib.io import cli
from stages.localisation import figure as localisation
from stages.positions import figure as positions
from stages.probes import figure as probes
from stages.robustness import figure as robustness
from stages.transfer import figure as transfer
from stages.transplant import figure as transplant
from stages.widths import figure as widths
from stages.windows import figure as windows

FIGURES = {
    "overview.png": overview.draw,
    "behaviour.png": behaviour.draw,
    "probes.png": probes.draw,
    "probe_heads.png": probes.draw_heads,
    "windows.png": windows.draw,
    "heads.png": heads.draw,
    "transplant.png": transplant.draw,
    "localisation.png": localisation.draw,
    "grid.png": grid.draw,
    "confidence.png": confidence.draw,
    "attribution.png": attribution.draw,
    "estimates.png": estimates.draw,
    "erasure.png": erasure.draw,
    "widths.png": widths.draw,
    "positions.png": positions.draw,
    "robustness.png": robustness.draw,
    "controls.png": controls.draw,
    "curves.png": curves.draw,
    "transfer.png": transfer.draw,
}


def main(
    plots: Annotated[Path, "folder of the plot tables, one folder per stage"],
    out: Annotated[Path, "writes PNGs, 1400 pixels wide, into this folder"],
) -> None:
    """Draw every figure.

    Raises
    ------
    UserError
        If a plot table is missing or has other columns; then nothing is written.
    """
    tables = load.read(plots)
    with style.theme():
        for name, draw in FIGURES.items():
            style.save(draw(tables), out / name)


if __name__ == "__main__":
    cli.run(main)
