"""Decides when two texts are the same: invisible differences do not count."""

import unicodedata

UNSEEN = dict.fromkeys(
    [
        *(0x00AD, 0x061C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),  # soft hyphens, marks
        *range(0x202A, 0x202F),  # marks of direction
        *range(0x2060, 0x2065),  # invisible joiners and operators
        *range(0x2066, 0x2070),  # marks of direction
    ]
)
"""Invisible characters. Joiners (U+200C, U+200D) are not listed, since they change letters."""


def of(text: str) -> str:
    """Normalise a text to the form that all its spellings share.

    Ids, subjects and repeated statements are compared in this form. Letters are composed (Unicode
    NFC), each run of white space becomes one blank, and invisible characters are removed. Case and
    visible differences (``²`` and ``2``, ``ﬁ`` and ``fi``, curly and straight quotes) are kept:
    they can change the meaning.

    Parameters
    ----------
    text : str
        Any text.

    Returns
    -------
    str
        The normalised text, without white space at its ends.
    """
    if not text.isascii():
        text = unicodedata.normalize("NFC", text.translate(UNSEEN))
    return " ".join(text.split())
