"""When two texts are the same text: what a reader cannot see makes no difference."""

import unicodedata

UNSEEN = dict.fromkeys(
    [
        *(0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),  # soft hyphens, marks
        *range(0x202A, 0x202F),  # directions
        *range(0x2060, 0x2065),  # joins of words
        *range(0x2066, 0x2070),  # directions
    ]
)
"""Characters that no font draws. Joiners (U+200C, U+200D) are not here: they change letters."""


def of(text: str) -> str:
    """The form that all spellings of a text share, by which ids, subjects and repeats are told.

    Letters are composed (Unicode's NFC), runs of white space of any kind are one blank, and
    characters that no font draws are left out. Case, and what looks different (``²`` and ``2``,
    ``ﬁ`` and ``fi``, curly and straight quotes), stays different: it can change what is said.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        Text without white space at its ends. Composed text with single blanks is its own form.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(UNSEEN))
    return " ".join(text.split())
