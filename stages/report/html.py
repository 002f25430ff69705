"""The report as one HTML page, of the same data as the Markdown, that opens without a network."""

import base64
import html
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from stages.report import page
from stages.report.captions import caption
from stages.report.page import Page

TEMPLATE = "page.html.j2"
CODE = re.compile(r"(?<!`)(`+)(?!`)(.+?)(?<!`)\1(?!`)")


def render(made: Page, figures: Path) -> str:
    """Write the page.

    Parameters
    ----------
    made : Page
    figures : Path
        Folder of the pictures, which become part of the page.

    Returns
    -------
    str
        HTML. The same data and pictures give the same bytes.

    Raises
    ------
    FileNotFoundError
        If a picture that a claim names is missing.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "inline": inline,
        "anchor": page.anchor,
        "requirement": page.requirement,
        "metrics": page.stem,
        "caption": caption,
        "picture": lambda name: picture(figures / name),
    }
    return environment.get_template(TEMPLATE).render(page=made, parts=page.PARTS, shown=page.shown)


def inline(text: str) -> Markup:
    """Turn a text of the report into HTML that shows the same.

    Parameters
    ----------
    text : str
        Inline Markdown as the claims write it: code between backticks, and characters of users'
        texts as numbers (`stages.lib.results.markdown`). Everything else is plain text.

    Returns
    -------
    Markup
        Escaped, except for ``<code>``.
    """
    made, at = Markup(), 0
    for match in CODE.finditer(text):
        made += escape(html.unescape(text[at : match.start()]))
        made += Markup("<code>{}</code>").format(_unpadded(match[2]))
        at = match.end()
    return made + escape(html.unescape(text[at:]))


def picture(file: Path) -> str:
    """Put a PNG into a data URI."""
    return f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}"


def _unpadded(code: str) -> str:
    """Strip the blanks that separate backticks in the code from the fence."""
    padded = len(code) > 1 and code[0] == code[-1] == " " and code.strip()
    return code[1:-1] if padded else code
