"""Escapes a user's text for Markdown, so that it is shown and never read as markup."""

import re
import unicodedata

# Characters that begin code, emphasis, a link, HTML, a table's cell, a formula, an emoji or an
# address. An underscore between letters begins nothing, nor does a colon before a space.
SPECIAL = re.compile(r"[\\`*\[\]~<>&|$]|(?<![^\W_])_|_(?![^\W_])|:(?=\S)|(?<=www)\.", re.IGNORECASE)
NEW_LINE = re.compile("\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]")
# Control and format characters (such as those that reverse text), and halves of surrogate pairs.
UNSEEN = ("Cc", "Cf", "Co", "Cn", "Cs")
JOINERS = "\u200c\u200d"  # Persian and Indian scripts are written with them, and many emoji


def text(value: str) -> str:
    """Escape a text so that Markdown shows it unchanged.

    Parameters
    ----------
    value : str
        Anything, of any number of lines.

    Returns
    -------
    str
        One line of Markdown, for the middle of a line or a table's cell. New lines are shown as ↵,
        invisible characters as ``⟨U+202E⟩``, and repeated blanks are all kept.
    """
    escaped = SPECIAL.sub(lambda match: f"&#{ord(match[0])};", visible(value))
    return re.sub("(?<= ) ", "&nbsp;", escaped)


def code(value: str) -> str:
    """Write a text as inline code, with a fence longer than any run of backticks in the text.

    Parameters
    ----------
    value : str
        Anything, of any number of lines.

    Returns
    -------
    str
        One line of Markdown; in a table's cell every | in it needs a backslash before it.
    """
    visible_text = visible(value)
    fence = "`" * (1 + max(map(len, re.findall("`+", visible_text)), default=0))
    ends = visible_text[:1], visible_text[-1:]
    # Markdown strips one blank on both sides if both are there; empty code is no code at all.
    pad = (
        " "
        if "`" in ends or (visible_text.strip() and ends == (" ", " ")) or not visible_text
        else ""
    )
    return f"{fence}{pad}{visible_text}{pad}{fence}"


def visible(value: str) -> str:
    """Write a text on one line, with every character visible."""
    return "".join(
        f"⟨U+{ord(c):04X}⟩" if unicodedata.category(c) in UNSEEN and c not in JOINERS else c
        for c in NEW_LINE.sub("↵", value)
    )
