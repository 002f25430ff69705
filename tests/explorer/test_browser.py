"""The explorer in a real browser: layout, plots, clicks, and that nothing is asked of the network."""

import asyncio
import itertools

import pytest

from tests.explorer import chromium, project
from tests.explorer.test_page import EVIL

pytestmark = chromium.REQUIRED
DRAWN = (
    "['head_plot', 'effects'].every((id) => document.querySelector(`#${id} svg.marks`) !== null)"
)
LISTED = "document.querySelectorAll('#list button').length"
TITLE = "document.getElementById('statement').textContent"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A page of five hundred statements: one is a script, one of the selection split."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = tmp_path_factory.mktemp("page")
        project.write(folder, [*project.statements(499), EVIL], measured=1)
        project.page(folder, monkeypatch)
    return folder / "plots/explorer.html"


def driven(folder, written, script, address="", width=1280, scheme="light"):
    """Open the page at an address, and return what a script finds there, and the session."""

    async def drive():
        async with chromium.opened(folder / "browser", width, scheme) as session:
            await session.send("Page.navigate", url=f"{written.as_uri()}{address}")
            await session.until(f"document.readyState === 'complete' && {LISTED} > 0")
            await session.until(DRAWN)
            return await script(session), session

    return asyncio.run(drive())


@pytest.mark.parametrize(
    ("width", "scheme"), itertools.product((1280, 390), ("light", "dark")), ids=str
)
def test_it_fits_the_window_and_draws_every_plot(tmp_path, written, width, scheme):
    async def look(session):
        await session.until("document.querySelectorAll('.plot svg.marks').length === 5")
        await session.picture(tmp_path / "page.png")
        return await session.run(
            """({ wide: document.documentElement.scrollWidth,
                  plots: [...document.querySelectorAll('.plot svg.marks')].map((c) => c.clientWidth),
                  page: getComputedStyle(document.body).backgroundColor })"""
        )

    result, session = driven(tmp_path, written, look, "#statement=s001", width, scheme)
    assert result["wide"] <= width
    assert min(result["plots"]) > 200
    assert result["page"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 28)"}[scheme]
    assert session.told("Runtime.exceptionThrown") == []
    assert (tmp_path / "page.png").stat().st_size > 10_000


def test_nothing_is_asked_of_the_network(tmp_path, written):
    async def look(session):
        return await session.run(LISTED)

    listed, session = driven(tmp_path, written, look)
    assert listed == 499
    urls = [told["request"]["url"] for told in session.told("Network.requestWillBeSent")]
    assert urls
    assert {url.split(":")[0] for url in urls} <= {"file", "data", "blob"}


def test_a_statement_that_is_a_script_does_not_run(tmp_path, written):
    async def look(session):
        return await session.run(f"[{TITLE}, typeof window.evil, document.images.length]")

    assert driven(tmp_path, written, look, "#statement=s499")[0] == [EVIL, "undefined", 0]


def test_clicks_search_and_links_lead_where_they_say(tmp_path, written):
    async def look(session):
        await session.run("document.querySelectorAll('#list button')[2].click()")
        await session.until("location.hash.startsWith('#statement=s003')")
        clicked = await session.run(TITLE)
        await session.run(
            """{ const search = document.getElementById('search'); search.value = 'iron 442.';
                 search.dispatchEvent(new Event('input')); }"""
        )
        listed = await session.run(LISTED)
        await session.until(DRAWN)
        await session.run("document.getElementById('effects').scrollIntoView()")
        place = await session.run(
            """(() => { const plot = document.querySelector('#effects svg.marks');
                const box = plot.getBoundingClientRect();
                return [box.left + box.width * 0.6, box.top + box.height * 0.4]; })()"""
        )
        before = await session.run("location.hash")
        await session.click(*place)
        await session.until(f"location.hash !== {before!r}")
        head = await session.run("new URLSearchParams(location.hash.slice(1)).get('head')")
        await session.run("history.back()")
        await session.until(f"location.hash === {before!r}")
        return clicked, listed, head

    clicked, listed, head = driven(tmp_path, written, look)[0]
    assert (clicked, listed) == ("Paris is number 3.", 1)
    layer, number = map(int, head.split("."))
    assert 0 <= layer < project.LAYERS
    assert 0 <= number < project.HEADS


def test_a_filter_that_is_clicked_lists_what_passes(tmp_path, written):
    """The mouse opens the list of values, and keys choose one: the values are drawn by the system."""

    async def choose(session, select, value):
        await session.run(f"document.getElementById('{select}').scrollIntoView()")
        box = f"document.getElementById('{select}').getBoundingClientRect()"
        await session.click(*await session.run(f"[{box}.x + {box}.width / 2, {box}.y + 10]"))
        await session.until(f"document.activeElement.id === '{select}'")
        for key in (*value, "Enter"):
            await session.press(key)
        return await session.run(
            "[document.getElementById('count').textContent,"
            " [...document.querySelectorAll('#list button')].slice(0, 2).map((b) => b.dataset.id)]"
        )

    async def look(session):
        before = await session.run("document.querySelector('#list button').dataset.id")
        result = [
            await choose(session, "topic", "el"),
            await choose(session, "split", "report,"),
            await choose(session, "topic", "ev"),
            await choose(session, "split", "s"),
        ]
        await session.run("document.querySelector('#list button').click()")
        await session.until("location.hash.startsWith('#statement=s000')")
        return before, result

    assert driven(tmp_path, written, look)[0] == (
        "s001",
        [
            ["249 of 499 statements", ["s002", "s004"]],
            ["0 of 499 statements", []],
            ["1 of 499 statements", ["s001"]],
            ["1 of 1 statements", ["s000"]],
        ],
    )
