"""The HTML page: the same claims as the Markdown, every text escaped, and nothing to fetch."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from stages.lib.claim import NOT_SUPPORTED, SUPPORTED, Claim, Note, Table, so
from stages.lib.results import markdown
from stages.report import __main__ as stage
from stages.report import html, own, page, results
from stages.report.page import Page

ROOT = Path(__file__).parents[2]
DOT = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c4890000000d4944415478da63f8"
    "cfc0f01f0005000200ff8fe2e30000000049454e44ae426082"
)
SCRIPT = "<script>alert(1)</script>"
MANIFEST = {
    "source": "hub", "revision": None, "dtype": "float32", "sizes": {},
    "organism": {"name": "middle", "layers": [20, 21]},
}  # fmt: skip
HOLDS = {"area", "base", "br", "img", "link", "meta"}  # tags without an end


class Tags(HTMLParser):
    """Tags of a page with their attributes, and its text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in HOLDS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture
def figures(tmp_path):
    """A folder with the one picture that the claims name."""
    (tmp_path / "water.png").write_bytes(DOT)
    return tmp_path


def small(**changes):
    """A page of two claims."""
    wet = Claim(
        "Is water wet?",
        "Water is wet.",
        [so("it", "wet", "wet", True, "sea")],
        ("water.png",),
        notes=[Note("It is.", "sea")],
    )
    cold = Claim("Is fire cold?", "Fire is cold.", [so("its heat", "none", "it burns", False)])
    made = Page("Title", "Question?", [], [], "2 claims", [wet, cold], True, ["So."], [Note("No.")])
    return replace(made, **changes)


@pytest.fixture(scope="module")
def committed():
    """The page of the committed metrics."""
    every = results.read(ROOT / "metrics")
    return stage.collect(every, own.claims(ROOT / "metrics"), MANIFEST, "x.Q4_1.gguf")


def test_tables_and_terms_are_on_both_pages_with_their_sources(figures):
    table = Table("Depth of seas", ("sea", "depth"), [("`a|b`", "<b>3</b>")], "sea")
    wet, cold = small().claims
    made = small(
        claims=[replace(wet, tables=[table]), cold], terms=[("salt", "what is <i>in it</i>")]
    )
    text, source = page.render(made), html.render(made, figures)
    assert "Depth of seas ([sea](../metrics/sea.json)):\n\n| sea | depth |\n|---|---|\n" in text
    assert r"| `a\|b` | <b>3</b> |" in text
    assert "| salt | what is <i>in it</i> |" in text
    assert "&lt;b&gt;3&lt;/b&gt;" in source
    assert "what is &lt;i&gt;in it&lt;/i&gt;" in source
    assert 'Depth of seas <a class="source" href="../metrics/sea.json">' in source
    assert "<caption>" not in html.render(small(), figures)


def test_a_table_without_rows_is_on_neither_page(figures):
    wet = small().claims[0]
    for rows in ([], [("North", "95")]):
        made = small(claims=[replace(wet, tables=[Table("Depth of seas", ("sea", "depth"), rows)])])
        for text in (page.render(made), html.render(made, figures)):
            assert ("Depth of seas" in text) == bool(rows)


def test_both_pages_have_the_same_claims_and_verdicts(committed):
    text, shown = page.render(committed), Tags(html.render(committed, ROOT / "plots/figures"))
    verdicts = re.findall(r"^Verdict: \**([a-z ]+)\**\.", text, re.MULTILINE)
    assert verdicts == [claim.verdict(committed.lies) for claim in committed.claims]
    assert len(verdicts) > 10
    ids = [attributes["id"] for tag, attributes in shown.tags if tag == "section"]
    assert ids[-4:] == ["how-verdicts-are-reached", "terms", "wordings", "limits"]
    assert ids[:-4] == [page.anchor(claim.question) for claim in committed.claims]
    sections = shown.text.split("Claimed: ")
    assert [re.findall(r"([a-z ]+) ·", part)[-1].strip() for part in sections[:-1]] == verdicts
    for claim in committed.claims:
        for check in claim.checks:
            assert str(html.inline(check.measured)) in html.render(
                replace(committed, claims=[replace(claim, figures=())]), ROOT
            )
            assert check.measured in text


def test_nothing_is_fetched(committed):
    """No script, style or picture from elsewhere; links lead to files beside the page."""
    shown = Tags(html.render(committed, ROOT / "plots/figures"))
    loaded = [
        value
        for tag, attributes in shown.tags
        for name, value in attributes.items()
        if name in ("src", "srcset", "data", "poster", "action", "xlink:href")
        or (name == "href" and tag in ("link", "base"))
    ]
    assert loaded
    assert all(value.startswith("data:image/png;base64,") for value in loaded)
    tags = {tag for tag, _ in shown.tags}
    assert not tags & {"script", "link", "iframe", "object", "embed", "base", "form"}
    style = html.render(committed, ROOT / "plots/figures").split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    links = [attributes["href"] for tag, attributes in shown.tags if tag == "a"]
    assert links
    ids = {attributes["id"] for _, attributes in shown.tags if "id" in attributes}
    for link in links:
        if link.startswith("#"):
            assert link[1:] in ids
        else:
            assert (ROOT / "plots" / link).is_file()


def linked(check):
    """What was measured, as a link to its metrics, in HTML and in Markdown."""
    address = f"../metrics/{check.file}.json"
    assert (ROOT / "plots" / address).is_file()
    return (
        f'<a href="{address}">{html.inline(check.measured)}</a>',
        f"[{check.measured}]({address})",
    )


@pytest.mark.parametrize("lies", [True, False])
def test_every_number_that_decides_links_to_its_metrics(committed, lies):
    """In the table of all claims, in the line of the verdict, and in the claim's own table."""
    made = replace(committed, lies=lies)
    overview, *parts = html.render(made, ROOT / "plots/figures").split("<section id=")
    rows = overview.partition("<tbody>")[2].split("</tr>")
    sections = page.render(made).split("\n## ")
    lines = [line for line in sections[0].splitlines() if line.startswith("| [")]
    n = len(made.claims)
    places = zip(made.claims, rows[:n], parts[:n], lines, sections[1 : n + 1], strict=True)
    for claim, row, part, line, section in places:
        decides = page.shown(claim, lies)
        assert linked(decides)[0] in row
        assert linked(decides)[1] in line
        verdict = next(line for line in section.splitlines() if line.startswith("Verdict: "))
        assert verdict.endswith(f"{linked(decides)[1]}.")
        for check in {*claim.checks, decides}:
            assert linked(check)[0] in part
            assert linked(check)[1] in section
    untested = [claim for claim in made.claims if page.shown(claim, lies) not in claim.checks]
    assert bool(untested) != lies


def test_counts_in_the_limits_link_to_their_metrics(committed):
    (note,) = [note for note in committed.limits if "subjects with known" in note.says]
    counted = json.loads((ROOT / "metrics/transfer.json").read_text())["n"]["report"]["subjects"]
    assert f"has {counted} subjects" in note.says
    assert note.file == "transfer"


def test_every_claim_is_beside_what_was_expected_of_it(figures):
    text, source = page.render(small()), html.render(small(), figures)
    assert "| question | verdict | claimed | expected | measured |" in text
    assert "| Fire is cold. | its heat: none | it burns |" in text
    heads = "<tr><th>claimed</th><th>expected</th><th>measured</th><th>verdict</th></tr>"
    assert heads in source
    assert '<td data-name="expected">its heat: none</td>' in source


def test_the_summary_comes_before_all_else_but_title_and_question(figures):
    made = small(summary=[Note("We swam.")], about=["A page on water."], model=["Model: sea."])
    told = ["Title", "Question?", "We swam.", "2 claims", "A page on water.", "Model: sea."]
    for text in (page.render(made), html.render(made, figures).partition("<body>")[2]):
        places = [text.index(one) for one in told]
        assert places == sorted(places)


def test_both_pages_have_the_same_questions_and_the_html_one_can_be_sent(committed):
    text = page.render(committed)
    written = html.render(committed, ROOT / "plots/figures")
    assert len(written.encode()) < 6e6
    shown = Tags(written)
    assert not shown.open
    headings = re.findall("^## (.*)$", text, re.MULTILINE)
    assert len(headings) > 10
    for heading in headings:
        assert heading in shown.text


@pytest.mark.parametrize(
    "hostile",
    [SCRIPT, '"><img src=x onerror=alert(1)>', "`</code><b>`", "{{ 7 * 7 }}", "a & b &lt;"],
)
def test_texts_of_users_are_shown_and_nothing_else(figures, hostile):
    """Escaped as text or as code by whoever writes the line, they read as they were written."""
    lines = [markdown.text(hostile), markdown.code(hostile)]
    made = small(model=lines, limits=[Note(line) for line in lines])
    shown = Tags(html.render(made, figures))
    assert {tag for tag, _ in shown.tags} == {
        tag for tag, _ in Tags(html.render(small(model=["`x`"]), figures)).tags
    }
    assert shown.text.count(hostile) == 4
    assert not [
        name for _, attributes in shown.tags for name in attributes if name.startswith("on")
    ]


def test_texts_that_nobody_escaped_are_text_too(figures):
    """A claim's own words may hold a character of HTML."""
    claim = Claim(SCRIPT, f"a < b {SCRIPT}", [so(SCRIPT, "p < 0.05", SCRIPT, True, "sea")])
    shown = Tags(html.render(small(title=SCRIPT, question=SCRIPT, claims=[claim]), figures))
    assert "script" not in {tag for tag, _ in shown.tags}
    assert shown.text.count(SCRIPT) >= 7
    assert "p < 0.05" in shown.text


def test_wordings_of_params_are_text_on_the_page(monkeypatch, tmp_path, figures):
    prompt = {"honest_system": SCRIPT, "honest_prefix": "`x` $x$ [a](javascript:alert(1))"}
    (tmp_path / "params.yaml").write_text(json.dumps({"prompt": prompt}))
    monkeypatch.chdir(tmp_path)
    shown = Tags(html.render(small(model=[stage._persona("honest")]), figures))
    assert f"honest: “{SCRIPT}”; answers start with “{prompt['honest_prefix']}”." in shown.text
    assert "script" not in {tag for tag, _ in shown.tags}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("as `liar` so", "as <code>liar</code> so"),
        ("`` a`b ``", "<code>a`b</code>"),
        ("``a`b``", "<code>a`b</code>"),
        ("a ` b", "a ` b"),
        ("&#60;b&#62;", "&lt;b&gt;"),
        ("`&#60;`", "<code>&amp;#60;</code>"),
        ("0.9 [0.8, 1.0]", "0.9 [0.8, 1.0]"),
    ],
)
def test_inline_markdown_becomes_code_and_text(text, expected):
    assert html.inline(text) == expected


def test_the_same_data_gives_the_same_bytes(figures):
    assert html.render(small(), figures) == html.render(small(), figures)


def test_a_picture_is_in_the_page_and_one_that_is_missing_is_named(figures):
    assert "data:image/png;base64,iVBORw0" in html.render(small(), figures)
    (figures / "water.png").unlink()
    with pytest.raises(FileNotFoundError, match="water.png"):
        html.render(small(), figures)


def test_verdicts_have_a_word_and_a_sign_and_not_colour_alone(figures):
    text = html.render(small(), figures)
    assert f'<span class="verdict supported">{SUPPORTED}</span>' in text
    assert f'<span class="verdict not-supported">{NOT_SUPPORTED}</span>' in text
