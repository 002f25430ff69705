"""A statement and wordings of HTML and Markdown, in a real browser: shown as they are, and nothing run."""

import asyncio
import json

import pytest
from markdown_it import MarkdownIt

from stages.lib.claim import Claim, Note, so
from stages.lib.results import markdown
from stages.report import __main__ as stage
from stages.report import html, page
from stages.report.page import Page
from tests.explorer import chromium, project

pytestmark = chromium.REQUIRED
HOSTILE = (
    '</script><script>window.evil = 1</script><img src=x onerror="window.evil = 1">'
    " **bold** [link](javascript:window.evil=1) ![i](http://127.0.0.1:9/x.png) `code` <b>so</b>"
    " &lt;i&gt; {{ 7 * 7 }} $x$ | --> ]]> <svg onload=window.evil=1> '\""
)
ELEMENTS = "svg[onload], a[href^=javascript], iframe, object, embed"
FOUND = (
    f"[typeof window.evil, document.images.length, document.querySelectorAll('{ELEMENTS}').length]"
)


def look(folder, file, script, address="", ready="true"):
    """Open a page, and return what a script finds there, what went wrong, and what was asked for."""

    async def drive():
        async with chromium.opened(folder / "browser", 1280, "light") as session:
            await session.send("Page.navigate", url=f"{file.as_uri()}{address}")
            await session.until(f"document.readyState === 'complete' && {ready}")
            result = [await session.run(script), await session.run(FOUND)]
            urls = [told["request"]["url"] for told in session.told("Network.requestWillBeSent")]
            return result, session.told("Runtime.exceptionThrown"), urls

    return asyncio.run(drive())


@pytest.fixture
def made(tmp_path, monkeypatch):
    """A page of the report whose wordings, model and names are hostile."""
    prompt = {"honest_system": HOSTILE, "honest_prefix": HOSTILE}
    (tmp_path / "params.yaml").write_text(json.dumps({"prompt": prompt}))
    monkeypatch.chdir(tmp_path)
    lines = [stage._persona("honest"), markdown.text(HOSTILE), markdown.code(HOSTILE)]
    claim = Claim(
        "Is it?", markdown.text(HOSTILE), [so("it", "so", markdown.code(HOSTILE), True, "x")]
    )
    claim.notes.append(Note(markdown.text(HOSTILE)))
    return Page("Title", "Question?", lines, [], "1 claim", [claim], True, ["So."], [Note("No.")])


def test_the_html_report(made, tmp_path):
    file = tmp_path / "report.html"
    file.write_text(html.render(made, tmp_path), encoding="utf-8")
    (text, (evil, images, others)), thrown, urls = look(tmp_path, file, "document.body.textContent")
    assert (evil, images, others) == ("undefined", 0, 0)
    assert text.count(HOSTILE) >= 6
    assert thrown == []
    assert {url.split(":")[0] for url in urls} <= {"file", "data"}


def test_the_markdown_report_as_a_reader_shows_it(made, tmp_path):
    """By a reader that lets HTML through, as some do."""
    reader = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    file = tmp_path / "report.html"
    file.write_text(
        f"<meta charset=utf-8><body>{reader.render(page.render(made))}", encoding="utf-8"
    )
    (text, (evil, images, others)), thrown, urls = look(tmp_path, file, "document.body.textContent")
    assert (evil, images, others) == ("undefined", 0, 0)
    shown = " ".join(text.replace("\u00a0", " ").split())
    assert shown.count(HOSTILE) >= 6
    assert thrown == []
    assert {url.split(":")[0] for url in urls} <= {"file"}


def test_the_explorer(tmp_path, monkeypatch):
    project.write(tmp_path, [*project.statements(3), HOSTILE])
    project.page(tmp_path, monkeypatch)
    script = "document.getElementById('statement').textContent"
    file = tmp_path / "plots/explorer.html"
    ready = "document.querySelectorAll('#list button').length === 4"
    result, thrown, urls = look(tmp_path, file, script, "#statement=s003", ready)
    text, (evil, images, others) = result
    assert text == HOSTILE
    assert (evil, images, others) == ("undefined", 0, 0)
    assert thrown == []
    assert {url.split(":")[0] for url in urls} <= {"file", "data", "blob"}


def test_the_browser_does_run_what_nobody_escaped(tmp_path):
    """The opposite."""
    file = tmp_path / "page.html"
    file.write_text(f"<script>var x = 1</script><body>{HOSTILE}", encoding="utf-8")
    (_, (evil, images, _)), _, _ = look(tmp_path, file, "1")
    assert evil == "number"
    assert images == 1
