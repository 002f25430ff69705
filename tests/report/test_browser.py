"""The HTML page in a real browser: it fits windows and phones, and it is printed."""

import asyncio
import base64
import itertools
import re

import pytest

from stages.report import __main__ as stage
from stages.report import html, own, results
from tests.explorer import chromium
from tests.report.test_html import MANIFEST, ROOT

pytestmark = chromium.REQUIRED
PAGE = re.compile(rb"/Type\s*/Page\b")
PICTURE = re.compile(rb"/Subtype\s*/Image\b")


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The page of the committed metrics and pictures."""
    file = tmp_path_factory.mktemp("report") / "report.html"
    metrics = ROOT / "metrics"
    made = stage.collect(results.read(metrics), own.claims(metrics), MANIFEST, "x.Q4_1.gguf")
    file.write_text(html.render(made, ROOT / "plots/figures"), encoding="utf-8")
    return file


def driven(folder, written, script, width, scheme="light"):
    """Open the page, and return what a script finds there."""

    async def drive():
        async with chromium.opened(folder / "browser", width, scheme) as session:
            await session.send("Page.navigate", url=written.as_uri())
            await session.until("document.readyState === 'complete' && document.images.length > 10")
            return await script(session)

    return asyncio.run(drive())


@pytest.mark.parametrize(
    ("width", "scheme"), itertools.product((1280, 420), ("light", "dark")), ids=str
)
def test_it_fits_the_window(tmp_path, written, width, scheme):
    async def look(session):
        await session.picture(tmp_path / "page.png")
        return await session.run(
            """({ wide: document.documentElement.scrollWidth,
                  cells: [...document.querySelectorAll('td')].filter(
                      (cell) => cell.scrollWidth > cell.clientWidth + 1).length,
                  caption: Math.min(...[...document.querySelectorAll('caption')].map(
                      (caption) => caption.clientWidth)),
                  row: getComputedStyle(document.querySelector('.overview tbody tr')).display,
                  page: getComputedStyle(document.body).backgroundColor })"""
        )

    result = driven(tmp_path, written, look, width, scheme)
    assert result["wide"] <= width
    assert result["cells"] == 0
    assert result["caption"] > 0.75 * width
    assert result["row"] == {1280: "table-row", 420: "block"}[width]
    assert result["page"] == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]


def test_the_summary_is_in_the_first_window(tmp_path, written):
    async def look(session):
        return await session.run(
            "document.querySelector('.summary').getBoundingClientRect().bottom"
        )

    assert driven(tmp_path, written, look, 1280) < 900


def test_it_is_printed_on_several_pages_in_dark_on_light(tmp_path, written):
    async def look(session):
        printed = await session.send("Page.printToPDF", printBackground=True)
        await session.send("Emulation.setEmulatedMedia", media="print")
        ink = await session.run("getComputedStyle(document.body).color")
        return base64.b64decode(printed["data"]), ink

    pdf, ink = driven(tmp_path, written, look, 1280, "dark")
    assert pdf.startswith(b"%PDF-")
    assert 5 < len(PAGE.findall(pdf)) < 100
    assert len(PICTURE.findall(pdf)) > 10
    assert ink == "rgb(0, 0, 0)"
