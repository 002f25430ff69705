"""What each layer does alone."""

from matplotlib.figure import Figure

from stages.lib.drawing import columns, load, marks, patching, registry, style

TABLES = {
    "single_layers/layers": columns.texts("split")
    | columns.ROLES
    | columns.ints("layer")
    | columns.POINT
}


def draw(tables: load.Tables) -> Figure:
    """Accuracy of the patched run by layer, beside the base run."""
    rows = tables["single_layers/layers"].filter(split="report")
    figure = style.canvas(
        f"Layers: z of {tables.source} patched into the run of {tables.base}",
        f"z of all heads of one layer, at the last positions of the prompt; {rows['n'].max() or 0} "
        f"known statements of the report split. Bands: {style.INTERVALS}.",
        height=4.2,
        entries=patching.entries(tables, ("patched", "base")),
    )
    ax, looks = figure.subplots(), patching.looks(tables)
    for run in ("patched", "base"):
        marks.line(ax, rows.filter(run=run), "layer", "accuracy", looks[run])
    marks.rates(ax)
    ax.set_xlabel("layer")
    return figure


FIGURES = (registry.Figure("single_layers.png", draw, TABLES),)
