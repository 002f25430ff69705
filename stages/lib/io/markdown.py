"""A user's text in a page of Markdown: it is shown, and can be nothing but text."""

import re
import unicodedata

# What begins code, emphasis, a link, HTML, a table's cell, a formula, an emoji or an address. An
# underscore between letters begins nothing, nor does a colon before a space.
SPECIAL = re.compile(r"[\\`*\[\]~<>&|$]|(?<![^\W_])_|_(?![^\W_])|:(?=\S)|(?<=www)\.", re.IGNORECASE)
NEW_LINE = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Control and format characters (text that runs backwards is made of them), halves of pairs.
UNSEEN = ("Cc", "Cf", "Co", "Cn", "Cs")
JOINERS = "\u200c\u200d"  # Persian and Indian scripts are written with them, and many emoji


def text(value: str) -> str:
    """Write a text so that it reads as it is.

    Parameters
    ----------
    value : str
        Anything, of any number of lines.

    Returns
    -------
    str
        Markdown of one line, for the middle of a line or a table's cell: new lines are shown as ↵,
        characters that cannot be seen as ``⟨U+202E⟩``, and every blank of several.
    """
    escaped = SPECIAL.sub(lambda match: f"&#{ord(match[0])};", visible(value))
    return re.sub("(?<= ) ", "&nbsp;", escaped)


def code(value: str) -> str:
    """Write a text as code, with a fence that is longer than any row of backticks in it.

    Parameters
    ----------
    value : str
        Anything, of any number of lines.

    Returns
    -------
    str
        Markdown of one line; in a table's cell every | in it needs a backslash before it.
    """
    shown = visible(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", shown)), default=0))
    ends = shown[:1], shown[-1:]
    # A blank on both sides is taken away where there is one; without any there is no code at all.
    pad = " " if "`" in ends or (shown.strip() and ends == (" ", " ")) or not shown else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def visible(value: str) -> str:
    """Put a text into one line in which every character can be seen."""
    return "".join(
        f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in UNSEEN and c not in JOINERS else c
        for c in NEW_LINE.sub("↵", value)
    )
