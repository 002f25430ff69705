"""The figures: a pure function of the plot tables, whatever their size."""

import json
import os
import subprocess
import sys
from pathlib import Path

import matplotlib as mpl
import numpy as np
import polars as pl
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.text import Text

from stages.figures import __main__ as figures
from stages.lib.drawing import load, patching, registry, style
from stages.lib.drawing.columns import floats
from stages.lib.io.cli import UserError
from tests.figures import plot_tables

ROOT = Path(__file__).parents[2]
FIGURES = {figure.file: figure for figure in figures.declared()}
NAMES = set(FIGURES)
SCHEMAS = registry.schemas(FIGURES.values())
SMALL = {"topics": ("capitals", "neg_capitals"), "layers": 6, "heads": 3}
# These read which layers or how many heads, and no measured number.
NOTHING_MEASURED = {("ground_truth", "ground_truth.png")}
NOTHING_MEASURED |= {
    ("heads", name) for name in ("windows.png", "overview.png", "ground_truth.png")
}
STAGES = sorted({table.split("/")[0] for figure in FIGURES.values() for table in figure.tables})
DRAWN_FROM = {
    stage: {
        file
        for file, figure in FIGURES.items()
        if any(table.startswith(f"{stage}/") for table in figure.tables)
        and (stage, file) not in NOTHING_MEASURED
    }
    for stage in STAGES
}
MEASURED = ("value", "effect", "recovered", "cosine", "contribution", "accuracy", "jaccard")
MEASURED += ("recall_true", "lying", "share", "auroc", "detected")


def draw(plots: Path, out: Path) -> dict[str, bytes]:
    figures.main(plots, out)
    return {file.name: file.read_bytes() for file in out.iterdir()}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Small tables and their figures."""
    folder = tmp_path_factory.mktemp("small")
    plots = plot_tables.write(folder / "plots", **SMALL)
    return plots, draw(plots, folder / "out")


def test_every_figure_that_a_stage_declares_is_drawn(small):
    modules = {figure.draw.__module__ for figure in FIGURES.values()}
    stages = {file.parent.name for file in ROOT.glob("stages/*/figure.py")}
    assert modules == {f"stages.{name}.figure" for name in stages} | {"stages.figures.overview"}
    assert set(small[1]) == NAMES == {file.name for file in ROOT.glob("plots/figures/*.png")}


def test_declared_tables_are_those_that_the_stages_write():
    assert load.read(ROOT / "plots", SCHEMAS).rows.keys() == SCHEMAS.keys()


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_figure_reads_the_tables_that_it_declares_and_those_of_all(name, small):
    class Seen(dict):
        def __getitem__(self, key):
            seen.add(key)
            return super().__getitem__(key)

    seen, declared = set(), set(FIGURES[name].tables)
    with style.theme():
        FIGURES[name].draw(load.Tables(Seen(load.read(small[0], SCHEMAS).rows)))
    assert declared <= seen <= declared | set(load.COMMON)


def test_a_figure_is_given_no_other_tables(small):
    given = load.read(small[0], SCHEMAS).only(FIGURES["heads.png"].tables)
    assert set(given.rows) == {"heads/heads", "heads/sets", *load.COMMON}


def test_two_figures_agree_on_a_table_and_have_files_of_their_own():
    def figure(file, *columns):
        return registry.Figure(file, lambda tables: Figure(), {"x/y": floats(*columns)})

    assert registry.schemas([figure("a", "low"), figure("b", "low")])["x/y"] == floats("low")
    with pytest.raises(ValueError, match="b: columns of x/y differ"):
        registry.schemas([figure("a", "low"), figure("b", "high")])
    with pytest.raises(ValueError, match="two figures are called a"):
        registry.schemas([figure("a", "low"), figure("a", "low")])


def test_the_bytes_depend_on_the_tables_alone(small, tmp_path):
    """Not on the process, nor on the user's settings, nor on the order of the rows with the roles."""
    plots = plot_tables.write(tmp_path / "plots", **SMALL)
    file = plots / "windows/windows.json"
    file.write_text(json.dumps(json.loads(file.read_text())[::-1]))
    tables = load.read(plots, load.COMMON)
    assert (tables.source, tables.base) == ("honest", "liar")
    settings = tmp_path / "matplotlibrc"
    settings.write_text("font.size: 30\naxes.facecolor: red\nsavefig.dpi: 20\n")
    own = {"PYTHONHASHSEED": "7", "MATPLOTLIBRC": str(settings)}
    command = [sys.executable, "-m", "stages.figures", "--plots", plots, "--out", tmp_path / "out"]
    subprocess.run(command, check=True, env={**os.environ, **own})
    assert {file.name: file.read_bytes() for file in (tmp_path / "out").iterdir()} == small[1]


def test_the_settings_of_the_user_are_left_alone(small, tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "declared", lambda: [FIGURES["heads.png"]])
    with mpl.rc_context({"font.size": 30, "axes.facecolor": "red", "savefig.dpi": 20}):
        assert draw(small[0], tmp_path) == {"heads.png": small[1]["heads.png"]}
        assert mpl.rcParams["font.size"] == 30


def test_no_metadata_but_what_the_picture_needs(small):
    for content in small[1].values():
        assert b"tEXt" not in content
        assert b"tIME" not in content


@pytest.mark.parametrize("stage", DRAWN_FROM)
def test_numbers_show_in_the_figures_of_their_stage_and_in_no_other(
    small, stage, tmp_path, monkeypatch
):
    first = small[1]
    plots = plot_tables.write(tmp_path / "plots", **SMALL)
    for file in (plots / stage).iterdir():
        rows = json.loads(file.read_text())
        measured = next(k for k in MEASURED if k in rows[0])
        for row in rows:
            row[measured] = None if row[measured] is None else row[measured] * 0.7
        file.write_text(json.dumps(rows))
    # The others are given no table of the stage.
    given = {file: set(figure.tables) | set(load.COMMON) for file, figure in FIGURES.items()}
    able = {file for file, names in given.items() if any(n.startswith(f"{stage}/") for n in names)}
    monkeypatch.setattr(figures, "declared", lambda: [FIGURES[file] for file in sorted(able)])
    second = draw(plots, tmp_path / "out")
    assert {name for name in second if first[name] != second[name]} == DRAWN_FROM[stage]


@pytest.mark.parametrize(
    "shape",
    [
        {
            "personas": ("a", "honest", "liar", "b"),
            "topics": tuple("abcdefghijklmn"),
            "source": "a",
        },
        {"layers": 1, "heads": 1, "topics": ("one",)},
        {"known": False, "layers": 1, "heads": 1, "personas": ("honest", "liar")},
        {"personas": ("patched", "source", "random"), "source": "source", "base": "patched"},
        # No formulas, and none that cannot be read; a legend must not leave out a leading "_".
        {"personas": (r"$\frac$", "_b$", "$c"), "source": r"$\frac$", "base": "_b$"}
        | {"topics": (r"$\frac$", "_b$", r"\c")},
    ],
)
@pytest.mark.filterwarnings("error")
def test_any_shape_of_tables_is_drawn(shape, tmp_path, monkeypatch):
    def save(figure, file):  # what PNG makes of the pixels does not depend on the shape
        drawing = FigureCanvasAgg(figure)
        style._settle(figure)
        drawing.draw()
        file.parent.mkdir(exist_ok=True)
        file.touch()

    monkeypatch.setattr(style, "save", save)
    plots = plot_tables.write(tmp_path / "plots", **(SMALL | shape))
    assert set(draw(plots, tmp_path / "out")) == NAMES


@pytest.mark.filterwarnings("error")
def test_figures_of_a_large_model_are_1400_pixels_wide_and_small_files(tmp_path):
    plots = plot_tables.write(tmp_path / "plots", layers=80, heads=64)
    for content in draw(plots, tmp_path / "out").values():
        assert int.from_bytes(content[16:20]) == 1400  # width in a PNG's header
        assert len(content) < 200_000


@pytest.mark.parametrize(
    ("source", "base", "called"),
    [
        ("honest", "liar", ["honest", "patched liar", "liar", "patched honest"]),
        ("neutral", "liar", ["neutral", "patched liar", "liar", "patched neutral"]),
        ("liar", "neutral", ["liar", "patched neutral", "neutral", "patched liar"]),
        ("honest", "patched", ["honest", "patched patched", "patched", "patched honest"]),
        ("base", "source", ["base", "patched source", "source", "patched base"]),
    ],
)
def test_runs_are_called_after_the_personas_and_personas_keep_their_looks(
    source, base, called, tmp_path
):
    personas = tuple(dict.fromkeys(("neutral", source, base, "other")))
    roles = {"source": source, "base": base}
    tables = load.read(plot_tables.write(tmp_path, personas, **SMALL, **roles), load.COMMON)
    named = patching.entries(tables, patching.RUNS)
    assert list(named) == [*called, "random, same layers", "random, other layers"]
    own = style.looks(personas)
    assert list(named.values()) == [own[source], style.PATCHED, own[base], style.REVERSE,
                                    style.RANDOM, style.ELSEWHERE]  # fmt: skip


def texts(figure) -> list[str]:
    """What the figure says, legends and axes included."""
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Figures of small tables with personas of other names, before they are files."""
    folder = tmp_path_factory.mktemp("drawn")
    plots = plot_tables.write(folder, ("x", "y"), **SMALL, source="x", base="y")
    tables = load.read(plots, SCHEMAS)
    with style.theme():
        return {name: figure.draw(tables) for name, figure in FIGURES.items()}


def test_no_persona_is_named_that_is_not_there(drawn):
    said = [text for figure in drawn.values() for text in texts(figure)]
    assert not [text for text in said if "honest" in text]


def entries(figure) -> list[str]:
    """Names in all legends of a figure."""
    legends = figure.findobj(Legend)
    return [text.get_text() for legend in legends for text in legend.get_texts()]


def test_the_line_at_half_is_called_chance_and_nothing_else(drawn):
    called = {name: set(entries(figure)) for name, figure in drawn.items()}
    assert not [name for name in NAMES if called[name] & {"chance", "half", "0.5"}]
    no_legend = {"probe_heads.png"}
    other = {"attribution_patching.png", "trace.png", "grafts.png", "benchmark.png"}
    assert {name for name in NAMES if "chance (0.5)" in called[name]} == NAMES - no_legend - other


def colours(figure) -> set[str]:
    """Colours of the lines and marks of a figure, legends included."""
    return {to_hex(line.get_color()).upper() for line in figure.findobj(Line2D)}


def test_green_and_purple_mean_a_patched_run_everywhere(drawn):
    for colour, run in ((style.GREEN, "patched y"), (style.PURPLE, "patched x")):
        have = {name for name in NAMES if colour in colours(drawn[name])}
        titled = {name for name in have if run in texts(drawn[name])}
        by_size_or_place = {"positions.png"} if colour == style.GREEN else set()
        assert have - titled == by_size_or_place
        assert not have & {"trace.png", "grafts.png", "erasure.png", "benchmark.png"}


def test_a_rule_has_one_colour_in_all_figures(drawn):
    def colour(name, entry):
        for legend in drawn[name].findobj(Legend):
            for handle, text in zip(legend.legend_handles, legend.get_texts(), strict=True):
                if text.get_text() == entry:
                    return handle.get_color()
        return None

    ours = style.RULES["estimate"].colour
    for name in ("set_sizes.png", "benchmark.png"):
        assert colour(name, "attribution patching") == ours
    assert colour("set_sizes.png", "single effects on P(correct)") == style.RULES["single"].colour
    assert colour("benchmark.png", "single heads, last") == style.RULES["single"].colour


def test_names_of_the_tables_are_not_shown_where_the_report_has_others(drawn):
    said = texts(drawn["transfer.png"])
    assert "mass mean" in said
    assert not [text for text in said if "mass_mean" in text]
    labels = [text for text in texts(drawn["positions.png"]) if "positions)" in text]
    assert labels[0] == "system\nprompt\n(3.5 positions)"


def test_whole_numbers_of_positions_have_no_decimals(tmp_path):
    plots = plot_tables.write(tmp_path, **SMALL)
    file = plots / "positions/blocks.json"
    file.write_text(file.read_text().replace('"positions": 3.5', '"positions": 28.0'))
    with style.theme():
        figure = FIGURES["positions.png"].draw(load.read(plots, SCHEMAS))
    assert "system\nprompt\n(28 positions)" in texts(figure)


def test_panels_say_what_they_measure(drawn):
    assert "AUROC" in drawn["benchmark.png"].texts[0].get_text()
    assert "AUROC" in texts(drawn["benchmark.png"])
    titles = [ax.get_title(loc="left") for ax in drawn["overview.png"].axes]
    assert titles == [
        "A  not patched\nall statements, n = 240",
        "B  5 layers patched\nknown statements, n = 20",
        "C  9 heads patched\nknown statements, n = 240 (random: n = 240)",
    ]


def run_off(figure) -> list[str]:
    """Titles that leave the figure or meet another title."""
    canvas = FigureCanvasAgg(figure)
    style._settle(figure)
    panels = [ax.set_title(ax.get_title(loc="left"), loc="left") for ax in figure.axes]
    titles = [text for text in (*figure.texts, *panels) if text.get_text()]
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in titles]
    edge = figure.bbox.width
    meet = [any(a.overlaps(b) for b in boxes if b is not a) for a in boxes]
    return [t.get_text() for t, a, m in zip(titles, boxes, meet, strict=True) if m or a.x1 > edge]


def test_titles_with_long_names_of_personas_stay_in_their_place(tmp_path, monkeypatch):
    source, base = "honest_but_reluctant", "answers_with_falsehoods"
    plots = plot_tables.write(tmp_path, ("neutral", source, base), source=source, base=base)
    tables = load.read(plots, SCHEMAS)
    with style.theme():
        for figure in FIGURES.values():
            assert run_off(figure.draw(tables)) == []
        monkeypatch.setattr(style, "_wrap_titles", lambda figure: False)
        assert run_off(FIGURES["trace.png"].draw(tables))


def test_random_sets_are_drawn_over_all_topics_alone(drawn):
    every, each = drawn["transplant.png"].axes
    clouds = [line for line in every.lines if line.get_marker() == "."]
    assert [len(line.get_xdata()) for line in clouds] == [20, 20]
    assert not [line for line in each.lines if line.get_marker() == "."]


def test_topics_stand_beside_their_negations(tmp_path):
    plots = plot_tables.write(tmp_path, topics=("b", "a", "neg_a", "neg_b"), layers=6, heads=3)
    with style.theme():
        figure = FIGURES["transplant.png"].draw(load.read(plots, SCHEMAS))
    labels = [text.get_text() for text in figure.axes[1].get_yticklabels()]
    assert labels == ["a (20)", "neg_a (20)", "b (20)", "neg_b (20)"]


def test_layers_trained_to_lie_and_windows_in_them_look_different(drawn):
    windows, heads, probes = drawn["ground_truth.png"].axes[:3]
    inside, trained = ([p for p in ax.patches if p.get_width()] for ax in (windows, probes))
    assert [(p.get_hatch(), p.get_fill(), p.get_x(), p.get_width()) for p in inside] == [
        ("////", True, 0.5, 1.0)
    ]
    assert [(p.get_hatch(), p.get_x(), p.get_width()) for p in trained] == [(None, 0.5, 5.0)]
    assert [p.get_bbox().bounds for p in heads.patches] == [(0, 1, 3, 5)]


def test_small_effects_show_beside_a_large_one(tmp_path):
    """By the square root: an effect of a hundredth has a tenth of the colour."""
    plots = plot_tables.write(tmp_path, **SMALL)
    file = plots / "attribution_patching/attribution_patching.json"
    rows = json.loads(file.read_text())
    for row, effect in zip(rows, [0.4, 0.004] + [0.0] * len(rows), strict=False):
        row["effect"] = effect
    file.write_text(json.dumps(rows))
    with style.theme():
        figure = FIGURES["ground_truth.png"].draw(load.read(plots, SCHEMAS))
    shades = np.asarray(figure.axes[1].collections[0].norm(np.array([0.4, 0.004, 0.0, -0.4])))
    np.testing.assert_allclose(shades, [1.0, 0.55, 0.5, 0.0])


def test_large_areas_keep_their_colours():
    """A heatmap of pale cells is written with the colours it was drawn with."""
    rng = np.random.default_rng(0)
    areas = rng.integers(235, 256, (100, 3), np.uint8)
    edges = rng.integers(0, 256, (600, 1, 3), np.uint8)
    pixels = np.concatenate([np.repeat(areas, 30, axis=0).reshape(100, 30, 3),
                             np.repeat(edges.reshape(20, 30, 3), 1, axis=0)])  # fmt: skip
    image = style._few_colours(pixels)
    assert image.getcolors(256) is not None  # there are no more
    kept = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(kept[:100], pixels[:100])
    assert np.abs(kept[100:].astype(int) - pixels[100:]).max() < 100


def test_legends_take_as_few_rows_as_fit():
    assert style._columns(["honest"] * 5) == 5
    assert style._columns(["a" * 60, "b"] * 2) == 2
    assert style._columns(["a" * 200, "b"]) == 1


def test_a_missing_table_is_named_and_nothing_is_written(tmp_path):
    plots = plot_tables.write(tmp_path / "plots", **SMALL)
    (plots / "heads/sets.json").unlink()
    with pytest.raises(UserError, match=r"heads/sets\.json: no such file; run `dvc repro`"):
        figures.main(plots, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row.pop("recovered"), "row 1: column 'recovered' is missing"),
        (lambda row: row.update(extra=1), "row 1: column 'extra' is unknown"),
    ],
)
def test_a_wrong_column_is_named(change, message, tmp_path):
    plots = plot_tables.write(tmp_path / "plots", **SMALL)
    file = plots / "heads/sets.json"
    rows = json.loads(file.read_text())
    change(rows[0])
    file.write_text(json.dumps(rows))
    with pytest.raises(UserError, match=message):
        figures.main(plots, tmp_path / "out")


def test_series_differ_without_colour():
    looks = style.looks([f"persona {i}" for i in range(35)])
    assert len({(look.marker, look.dash) for look in looks.values()}) == 35
    patched = {(look.marker, look.dash) for look in (style.PATCHED, style.REVERSE, style.RANDOM)}
    assert patched.isdisjoint({(look.marker, look.dash) for look in looks.values()})


@pytest.mark.parametrize(
    ("first", "accuracy", "said"),
    [
        ([3, 4, 5], [1.0, 1.0, 1.0], "all 3 windows above 0.5 hold layer 5"),
        ([3, 4, 5], [1.0, 0.9, 0.5], "all 2 windows above 0.5 hold layers 4–5"),
        ([3, 4, 9], [1.0, 1.0, 1.0], ""),  # no layer in common
        ([3, 4, 5], [0.1, 1.0, None], ""),  # one window says nothing about the layers in it
    ],
)
def test_layers_that_all_restoring_windows_share_are_named(first, accuracy, said):
    rows = [("patched", *row) for row in zip(first, accuracy, strict=True)]
    columns = ["run", "first_layer", "accuracy"]
    table = pl.DataFrame([*rows, ("source", 0, 1.0)], schema=columns, orient="row")
    assert patching.shared(table, "accuracy", size=3) == said
