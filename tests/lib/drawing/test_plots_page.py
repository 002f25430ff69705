"""The page and the templates of `dvc plots`: offline, valid, and every revision in every plot."""

import importlib.util
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import cast

import pytest
import vl_convert
import yaml
from dvc_render.html import HTML
from dvc_render.vega import VegaRenderer

from stages.figures import __main__ as figures
from stages.lib.drawing import registry, style
from stages.lib.io.tables import write_rows
from stages.widths import figure as widths
from stages.windows import figure as windows
from tests.figures import plot_tables
from tests.pipeline.closure import ROOT

DVC = Path(__file__).parents[3] / ".dvc"
ANCHORS = {"DATA", "TITLE", "X", "Y", "X_LABEL", "Y_LABEL"}
BUILT_IN = {"scatter"}  # DVC's own


def declared():
    """Template, x and y of every plot table in dvc.yaml: none can be forgotten here."""
    page = yaml.safe_load((DVC.parent / "dvc.yaml").read_text())
    listed = [plot for stage in page["stages"].values() for plot in stage.get("plots", [])]
    listed += page["plots"]
    drawn = {name: how for plot in listed if isinstance(plot, dict) for name, how in plot.items()}
    return {
        name.removeprefix("plots/").removesuffix(".json"): (how["template"], how["x"], how["y"])
        for name, how in drawn.items()
        if name.startswith("plots/") and name.endswith(".json")
    }


PLOTS = declared()
TEMPLATES = sorted(file.stem for file in (DVC / "plots").glob("*.json"))


class Page(HTMLParser):
    """Collects what a browser would load or run."""

    def __init__(self, text: str):
        super().__init__()
        self.loaded, self.scripts, self.inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")
        self.loaded += [
            value for name, value in attrs if name == "src" or (tag == "link" and name == "href")
        ]

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def page():
    spec = importlib.util.spec_from_file_location("make_plots_page", DVC / "make_plots_page.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.page()


@pytest.fixture(scope="module")
def tables(tmp_path_factory):
    """Rows of each plot table: of one revision, and of another that has other numbers."""
    made = []
    for shift in (0.0, 0.07):
        folder = tmp_path_factory.mktemp("plots")
        plot_tables.write(folder, topics=("capitals", "cities"), layers=6, heads=3, shift=shift)
        made.append({name: json.loads((folder / f"{name}.json").read_text()) for name in PLOTS})
    return made


def filled(rows_by_revision, table):
    """The specification that `dvc plots` would put into the page."""
    template, x, y = PLOTS[table]
    points = [
        {**row, "rev": revision, "filename": table, "field": y}
        for revision, rows in rows_by_revision.items()
        for row in rows
    ]
    renderer = VegaRenderer(
        points, table, template=template, template_dir=str(DVC / "plots"), x=x, y=y, title="A title"
    )
    return renderer.get_filled_template()


def test_the_page_loads_nothing_and_has_one_script_that_nothing_ends_early(page):
    parsed = Page(page)
    assert parsed.loaded == []
    (script,) = parsed.scripts
    bundle = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    assert bundle in script
    assert "<!--" not in script
    assert page.count("</script") == 1


def test_dvc_puts_the_plots_into_the_page_once_and_no_address_of_its_own(page):
    assert page.count("{plot_divs}") == 1
    assert "{scripts}" not in page
    assert "{refresh_tag}" not in page
    document = (
        HTML(page)
        .with_scripts(cast(str, VegaRenderer.SCRIPTS))
        .with_element('<img src="static/a.png">')
    )
    assert Page(document.embed()).loaded == ["static/a.png"]
    # The opposite: DVC's own page loads its scripts from elsewhere.
    assert len(Page(HTML().with_scripts(cast(str, VegaRenderer.SCRIPTS)).embed()).loaded) == 3


def test_every_template_is_used_and_every_plot_has_one():
    assert {template for template, *_ in PLOTS.values()} - BUILT_IN == set(TEMPLATES)


def test_the_plots_are_the_tables_that_stages_write_and_figures_read(tmp_path):
    plot_tables.write(tmp_path)
    written = {file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*.json")}
    assert {f"{name}.json" for name in PLOTS} == written
    assert set(registry.schemas(figures.declared())) <= set(PLOTS)


@pytest.mark.parametrize("template", TEMPLATES)
def test_template_has_all_anchors_and_the_colours_of_the_figures(template):
    text = (DVC / "plots" / f"{template}.json").read_text()
    assert json.loads(text)["data"] == {"values": "<DVC_METRIC_DATA>"}
    assert {name for name in ANCHORS if f"<DVC_METRIC_{name}>" in text} == ANCHORS
    ours = {*style.PALETTE, style.GREEN, style.PURPLE, style.CLOUD, style.SAND}
    ours |= {windows.SELECTION.colour, widths.DARK}
    colours = set(re.findall(r"#\w{6}", text))
    assert colours <= ours
    assert colours or template in ("heatmap", "matrix")


@pytest.mark.parametrize("table", PLOTS)
@pytest.mark.parametrize("version", ["5.8", "6.4"])
def test_every_revision_shows_in_every_plot(table, version, tables):
    before, after = (rows[table] for rows in tables)
    one = filled({"before": before}, table)
    both = filled({"before": before, "after": after}, table)
    assert "DVC_METRIC" not in json.dumps(both)
    drawn = [vl_convert.vegalite_to_svg(spec, vl_version=version) for spec in (one, both)]
    assert ["before" in svg for svg in drawn] == [True, True]
    assert ["after" in svg for svg in drawn] == [False, True]
    words = [text for svg in drawn for text in re.findall(r"<text[^>]*>([^<]+)</text>", svg)]
    assert not [text for text in words if "undefined" in text]  # made of columns there are not
    assert both["data"]["values"][0].items() >= before[0].items()


@pytest.mark.parametrize("table", ["probes/heads", "probes/layers", "behaviour/accuracy"])
def test_each_panel_shows_what_its_heading_says_where_revisions_have_other_personas(
    table, tables, tmp_path
):
    plot_tables.write(tmp_path, ("neutral", "actor", "liar"), ("cities",), layers=6, heads=3)
    after = json.loads((tmp_path / f"{table}.json").read_text())
    svg = vl_convert.vegalite_to_svg(filled({"a": tables[0][table], "b": after}, table))
    drawn = {"panel": [], "text": []}
    for panel, text in re.findall(r"(?:panel|measure): ([^;\"]+)|<text[^>]*>([^<]+)</text>", svg):
        if panel not in ("", *drawn["panel"][-1:]):
            drawn["panel"].append(panel)
        drawn["text"] += [text] * bool(text)
    headings = [text for text in drawn["text"] if text in drawn["panel"]]
    assert len(drawn["panel"]) == len(set(drawn["panel"])) > 1
    # A cell's marks come before its heading; the name of an axis may look like a heading.
    assert headings[-len(drawn["panel"]) :] == drawn["panel"]


def colours_of_series(svg):
    """Colours of each series, from the labels of the marks that show a number."""
    named = {}
    for series, colour in re.findall(
        r'aria-label="[^"]*\bseries: ([^;"]+)[^"]*"[^>]*(?:fill|stroke)="(#\w{6})"', svg
    ):
        named.setdefault(series, set()).add(colour.upper())
    return named


@pytest.mark.parametrize("table", ["confidence/thresholds", "positions/counts", "windows/windows"])
def test_runs_of_the_committed_tables_have_the_colours_of_roles_in_whatever_order(table):
    rows = json.loads((ROOT / f"plots/{table}.json").read_text())
    colours = colours_of_series(vl_convert.vegalite_to_svg(filled({"now": rows}, table)))
    patched = "window in liar" if table == "positions/counts" else "patched liar"
    expected = {"honest": style.PALETTE[1], patched: style.GREEN, "liar": style.PALETTE[2]}
    assert {name: colours[name] for name in expected} == {k: {v} for k, v in expected.items()}
    assert len({colour for some in colours.values() for colour in some}) == len(colours)


@pytest.mark.parametrize("version", ["5.8", "6.4"])
@pytest.mark.parametrize("source", ["honest", "neutral", "patched"])
def test_runs_have_the_names_of_personas_and_the_colours_of_roles(source, version, tmp_path):
    plot_tables.write(tmp_path, topics=("cities",), layers=6, heads=3, source=source)
    roles = {
        source: style.PALETTE[1],
        "patched liar": style.GREEN,
        "liar": style.PALETTE[2],
    }
    both = {f"patched {source}": style.PURPLE, "random, same layers": style.CLOUD}
    both["random, other layers"] = style.SAND
    reverse = {f"patched {source}": style.PURPLE}
    for table, expected in (
        ("windows/windows", roles),
        ("transplant/transplant", roles | both),
        ("confidence/thresholds", roles | reverse),
    ):
        rows = json.loads((tmp_path / f"{table}.json").read_text())
        svg = vl_convert.vegalite_to_svg(filled({"now": rows}, table), vl_version=version)
        assert colours_of_series(svg) == {name: {colour} for name, colour in expected.items()}


def test_a_revision_with_another_source_has_series_and_colours_of_its_own(tables, tmp_path):
    plot_tables.write(tmp_path, topics=("cities",), layers=6, heads=3, source="neutral")
    for table, number in (("windows/windows", 4), ("transplant/transplant", 8)):
        after = json.loads((tmp_path / f"{table}.json").read_text())
        drawn = [
            colours_of_series(
                vl_convert.vegalite_to_svg(filled(revisions, table), vl_version="6.4")
            )
            for revisions in ({"a": tables[0][table]}, {"a": tables[0][table], "b": after})
        ]
        assert drawn[0].items() <= drawn[1].items()
        assert len(drawn[1]) == len({colour for own in drawn[1].values() for colour in own})
        assert len(drawn[1]) == number


@pytest.mark.parametrize("table", PLOTS)
def test_values_that_are_missing_leave_a_plot_with_its_axes(table, tables):
    measured = {"value", "accuracy", "low", "high", "p_correct", "cosine", "effect", "recovered"}
    measured |= {"recall_true", "recall_false", "lying", "rank", "other", "other_token"}
    measured |= {"jaccard", "estimate", "contribution", "planted"}
    rows = [{k: None if k in measured else v for k, v in row.items()} for row in tables[0][table]]
    svg = vl_convert.vegalite_to_svg(filled({"before": rows}, table), vl_version="6.4")
    assert "before" in svg
    assert "A title" in svg
    if PLOTS[table][0] not in BUILT_IN:  # whose scales have no ends where there is no value
        assert "NaN" not in svg


def test_no_token_of_a_model_is_read_as_html(page, tables, tmp_path):
    """Plot tables reach the page inside a script, which the text of a token must not end."""
    bad = "</script><img src=x onerror=alert(1)><!--<script>"
    rows = [row | {"other_token": bad} for row in tables[0]["grid/recall"]]

    def loaded(rows):
        points = [row | {"rev": "now", "filename": "grid/recall", "field": "y"} for row in rows]
        renderer = VegaRenderer(
            points, "recall", template="recall", template_dir=str(DVC / "plots"),
            x="recall_true", y="recall_false", title="A title",
        )  # fmt: skip
        return Page(HTML(page).with_element(renderer.generate_html()).embed()).loaded

    assert loaded(rows) == ["x"]  # the opposite: as it is, it loads a picture
    write_rows(tmp_path / "recall.json", rows)
    assert loaded(json.loads((tmp_path / "recall.json").read_text())) == []
