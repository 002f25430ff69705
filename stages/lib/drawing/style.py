"""Common style of the figures: theme, size, and colours that colour-blind readers distinguish."""
# matplotlib leaves the type of its **kwargs open.
# pyright: reportUnknownMemberType=false

import contextlib
import textwrap
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from PIL import Image

from stages.lib.io.atomic import atomic

DPI = 100
WIDTH = 14.0  # inches: 1400 pixels
EXACT = 128  # colours of a picture that are drawn as they are
GREY = "#595959"
CLOUD, SAND = "#9A9A9A", "#C4A484"
# Okabe and Ito (2008) without yellow, too light on white; their green and purple mark patched runs.
PALETTE = (GREY, "#0072B2", "#D55E00", "#E69F00", "#56B4E9", "#000000")
GREEN, PURPLE = "#009E73", "#CC79A7"
# From Tol (2021), for series other than personas: probes, wordings, rules, controls.
SECOND = ("#332288", "#999933", "#882255", "#44AA99", "#CC6677", "#661100")
MARKERS = "soXvPh*"
Dash = Literal["-"] | tuple[float, tuple[float, ...]]
DASHES: tuple[Dash, ...] = ((0, (1, 1)), "-", (0, (5, 2)), (0, (7, 2, 1, 2)), (0, (3, 1, 1, 1)))
ACCURACY = "accuracy"
HALF = (0, (2, 3))
CHANCE = "chance (0.5)"
DIVERGING = "vlag"  # blue, white, red of equal lightness on both sides
INTERVALS = "95\u00a0% intervals, with statements about one subject as a cluster"


@dataclass(frozen=True)
class Look:
    """Colour, marker and dashes of a series; series differ also without colour."""

    colour: str
    marker: str
    dash: Dash


PATCHED = Look(GREEN, "D", "-")
REVERSE = Look(PURPLE, "^", DASHES[3])
RANDOM = Look(CLOUD, ".", DASHES[0])
ELSEWHERE = Look(SAND, ".", DASHES[0])


def looks(names: Sequence[str], palette: Sequence[str] = PALETTE) -> dict[str, Look]:
    """Assign a look to each name, by its place in the sequence.

    Parameters
    ----------
    names : sequence of str
        For example the personas in declared order. Colours, markers and dashes repeat after 6, 7
        and 5 names, all three together after 210.
    palette : sequence of str
        `PALETTE` for personas, `SECOND` for anything else.

    Returns
    -------
    dict of str to Look
    """
    return {
        name: Look(palette[i % len(palette)], MARKERS[i % len(MARKERS)], DASHES[i % len(DASHES)])
        for i, name in enumerate(names)
    }


# Main rules that rank heads: the same look in every figure.
RULES = looks(("greedy_p_correct", "single", "estimate", "verified_absolute"), SECOND)


@contextlib.contextmanager
def theme() -> Generator[None]:
    """Apply this project's theme within the block, whatever the user's own settings are."""
    with mpl.rc_context():
        mpl.rcdefaults()
        sns.set_theme(
            style="ticks",
            rc={
                "font.family": "DejaVu Sans",  # part of matplotlib: the same bytes everywhere
                "text.parse_math": False,  # a dollar sign in a name begins no formula
                "font.size": 13,
                "axes.titlesize": 14,
                "axes.titleweight": "bold",
                "axes.titlelocation": "left",
                "axes.labelsize": 13,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.grid": True,
                "axes.axisbelow": True,
                "grid.color": "#E6E6E6",
                "xtick.labelsize": 12,
                "ytick.labelsize": 12,
                "legend.fontsize": 13,
                "legend.frameon": False,
                "legend.handlelength": 2.6,
                "legend.columnspacing": 1.4,
                "legend.borderaxespad": 0,
                "lines.markersize": 7,
            },
        )
        yield


def canvas(
    title: str,
    caption: str,
    height: float,
    entries: dict[str, Look] | None = None,
    lines: bool = True,
    half: str = CHANCE,
) -> Figure:
    """Make an empty figure of the common width: title and legend above, caption below.

    Parameters
    ----------
    title, caption : str
        The title says what is shown, never what is concluded. The caption says how to read it: n,
        intervals, controls.
    height : float
        Height between legend and caption, in inches.
    entries : dict of str to Look, optional
        Series in the legend, beside the dotted line; without entries there is no legend.
    lines : bool
        Whether the series are lines; if not, the legend shows only their markers.
    half : str
        Legend text of the dotted line, where it is not at chance of a two-way answer.

    Returns
    -------
    Figure
        Axes added to it do not overlap title, legend and caption.
    """
    heading, text = textwrap.wrap(title, 98), textwrap.wrap(caption, 150)
    handles = _handles(entries, lines, half) if entries else []
    columns = _columns([str(handle.get_label()) for handle in handles])
    above = 0.3 * (len(heading) - 1)
    header = 0.55 + above + 0.32 * -(-len(handles) // columns)
    footer = 0.3 + 0.21 * len(text)
    total = height + header + footer
    body = (0.005, footer / total, 0.99, height / total)
    layout = ConstrainedLayoutEngine(rect=body, w_pad=0.1, h_pad=0.08)
    figure = Figure(figsize=(WIDTH, total), dpi=DPI, layout=layout)
    figure.text(0.012, 1 - 0.14 / total, "\n".join(heading), va="top", weight="bold", fontsize=17)
    figure.text(0.012, 0.14 / total, "\n".join(text), va="bottom", fontsize=12, color=GREY)
    if handles:
        by_row = [handle for column in range(columns) for handle in handles[column::columns]]
        legend_anchor = (0.004, 1 - (0.46 + above) / total)
        figure.legend(handles=by_row, loc="upper left", bbox_to_anchor=legend_anchor, ncols=columns)
    return figure


def save(figure: Figure, file: Path) -> None:
    """Write a PNG whose bytes depend on the drawing alone: fixed resolution, no metadata."""
    drawing = FigureCanvasAgg(figure)
    _settle(figure)
    drawing.draw()
    with atomic(file) as partial:
        _few_colours(np.asarray(drawing.buffer_rgba())[..., :3]).save(
            partial, format="png", optimize=True
        )


def _few_colours(pixels: np.ndarray) -> Image.Image:
    """Reduce an image to 256 colours: a third of the size, and git keeps PNGs.

    The most frequent colours stay: areas such as cells of heatmaps. Others, of edges, are near one.
    """
    codes = pixels @ np.array([1 << 16, 1 << 8, 1], np.uint32)
    colours, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    colours = np.stack([colours >> 16 & 255, colours >> 8 & 255, colours & 255], axis=-1)
    order = np.argsort(-counts, kind="stable")
    kept, others = colours[order[:EXACT]], colours[order[EXACT:]].astype(np.uint8)
    index = np.empty(len(colours), np.uint8)
    index[order[:EXACT]] = np.arange(len(kept))
    if len(others):
        image = Image.fromarray(others[None]).quantize(256 - EXACT, Image.Quantize.MAXCOVERAGE)
        kept = np.concatenate([kept, np.unique(np.asarray(image.convert("RGB"))[0], axis=0)])
        gaps = others[:, None].astype(np.int64) - kept
        index[order[EXACT:]] = np.square(gaps).sum(axis=-1).argmin(axis=-1)
    image = Image.fromarray(index[place.reshape(codes.shape)], "P")
    image.putpalette(kept.astype(np.uint8).tobytes())
    return image


def _settle(figure: Figure) -> None:
    """Lay out the axes and round their positions, whose last digits differ from run to run."""
    engine = figure.get_layout_engine()
    assert engine
    engine.execute(figure)
    if _wrap_titles(figure):
        engine.execute(figure)
    figure.set_layout_engine("none")
    for ax in figure.axes:
        left, bottom, width, height = ax.get_position(original=True).bounds
        ax.set_position((round(left, 4), round(bottom, 4), round(width, 4), round(height, 4)))


def _wrap_titles(figure: Figure) -> bool:
    """Wrap titles of panels that would meet the next panel or the edge; return whether any did."""
    panels = [ax for ax in figure.axes if ax.get_title(loc="left")]
    wrapped = False
    for ax in panels:
        own, text = ax.get_position(), ax.get_title(loc="left")
        title = ax.set_title(text, loc="left")
        beside = [
            other.x0
            for other in (panel.get_position() for panel in panels)
            if other.x0 > own.x1 and other.y0 < own.y1 and own.y0 < other.y1
        ]
        width = (min(beside, default=1.0) - own.x0) * figure.bbox.width - 10
        share = width / title.get_window_extent().width
        if share < 1:
            longest = max(map(len, text.splitlines()))
            lines = [textwrap.fill(line, int(longest * share)) for line in text.splitlines()]
            ax.set_title("\n".join(lines), loc="left")
            wrapped = True
    return wrapped


def _handles(entries: dict[str, Look], lines: bool, half: str) -> list[Line2D]:
    """Make the legend handles of the series and of the dotted line."""
    handles = [
        Line2D([], [], color=look.colour, marker=look.marker, label=name, markersize=9,
               linestyle=look.dash if lines else "None", linewidth=2.2, markeredgecolor="white")
        for name, look in entries.items()
    ]  # fmt: skip
    return [*handles, Line2D([], [], color="black", linestyle=HALF, label=half)]


def _columns(labels: list[str]) -> int:
    """Return the largest number of columns, filled row by row, in which legend entries fit."""
    widths = [0.85 + 0.105 * len(label) for label in labels]  # inches: mark, gap and letters
    for columns in range(len(widths), 1, -1):
        if sum(max(widths[i::columns]) for i in range(columns)) <= WIDTH - 0.4:
            return columns
    return 1
