"""The page itself: one HTML file with its scripts, its style and its data inside."""

import json
from pathlib import Path
from typing import Any

import jinja2
import vl_convert
from markupsafe import Markup

HERE = Path(__file__).parent
BUNDLE = "window.vegaEmbed = vegaEmbed;"


def render(content: dict[str, Any]) -> str:
    """Fill the template.

    Parameters
    ----------
    content : dict
        Data that page.js shows, for JSON.

    Returns
    -------
    str
        HTML. The same content gives the same page. No text of the content can end the script
        element that holds the data, as every "<" is escaped.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    data = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return environment.get_template("page.html.j2").render(
        style=_own("page.css"),
        script=_own("page.js"),
        bundle=Markup(vl_convert.javascript_bundle(BUNDLE)),
        data=Markup(data.replace("<", "\\u003c")),
        personas=f"{content['source']} and {content['base']}",
    )


def _own(name: str) -> Markup:
    """Read a file of this folder as markup, unescaped."""
    return Markup((HERE / name).read_text(encoding="utf-8"))
