"""Stage `figures`: the plot tables as pictures.

Params  none: names of personas, topics, layers and heads are those of the tables
"""

from pathlib import Path
from typing import Annotated

from stages.figures import overview
from stages.lib.drawing import load, registry, style
from stages.lib.io import cli
from stages.lib.results import nodes


def declared() -> list[registry.Figure]:
    """List the overview, then the figures of every `figure.py`, in the order of their stages."""
    modules = (overview, *nodes.modules("*/figure.py"))
    return [figure for module in modules for figure in module.FIGURES]


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
    figures = declared()
    tables = load.read(plots, registry.schemas(figures))
    with style.theme():
        for figure in figures:
            style.save(figure.draw(tables.only(figure.tables)), out / figure.file)


if __name__ == "__main__":
    cli.run(main)
