"""Compare the numbers of a page with their sources, and find those without one."""

import re
from typing import Any

from tests.docs import derived, sources

PLACE = re.compile(r"\{([^{}:]+)(?::([^{}]+))?\}")
WRITTEN = r"(-?\d[\d.,]*(?: \[[^\]]+\])?)"
"""A number as a text has it, with or without an interval."""
NUMBER = re.compile(r"(?<![\w.,])(?:\d{1,3}(?:,\d{3})+|\d+\.\d+|\d+(?=\s?%))|(?<=\bn = )\d+")
"""A number that needs a source: a decimal, one with thousands, a percentage, or an n."""
SOURCES = {"card": sources.card, "bench": sources.rate, "kill": sources.killed}


def differences(name: str, text: str, pieces: list[str]) -> list[str]:
    """Compare the pieces of one text with what they should say.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    text : str
        What stands in it.
    pieces : list of str
        Of numbers.yaml.

    Returns
    -------
    list of str
        A line per number that differs, and per piece that is not there.
    """
    lines = []
    for piece in pieces:
        matches = list(pattern(piece).finditer(text))
        if not matches:
            lines.append(f"{name}: no text like {piece!r}, which numbers.yaml has")
        for result in matches:
            for (key, form), written in zip(PLACE.findall(piece), result.groups(), strict=True):
                said = shown(key, form)
                # A full stop after a number ends a sentence.
                if written.rstrip(".,") != said:
                    lines.append(f"{name}: {written} is written, {key} says {said}")
    return lines


def uncovered(name: str, text: str, pieces: list[str]) -> list[str]:
    """Name the file, the line and the number where no piece has it; arguments of `differences`."""
    rest = covered(text, pieces)
    return [
        f"{name}:{text.count(chr(10), 0, result.start()) + 1}: {result[0]}"
        for result in NUMBER.finditer(rest)
    ]


def covered(text: str, pieces: list[str]) -> str:
    """Blank out what the pieces of a text cover, their own fixed numbers included."""
    spans = [result.span() for piece in pieces for result in pattern(piece).finditer(text)]
    for start, end in spans:
        text = text[:start] + re.sub(r"\S", " ", text[start:end]) + text[end:]
    return text


def pattern(piece: str) -> re.Pattern[str]:
    """Find a piece with any numbers; a blank may end a line, and … is the rest of one."""
    texts = [re.escape(text).replace(r"\ ", r"\s+") for text in PLACE.split(piece)[::3]]
    return re.compile(WRITTEN.join(texts).replace("…", "[^\n]*"))


def shown(key: str, form: str) -> str:
    """A number as a text has it: ``221``, ``0.031``, ``0.986 [0.943, 0.997]``; a head ``21.5``."""
    value = _value(key)
    if isinstance(value, list):
        return ".".join(map(str, value))
    if isinstance(value, str | int):
        return format(value, form)
    if isinstance(value, float):
        return format(value, form or ".3f")
    rate = value["value"] if "value" in value else value["accuracy"]
    numbers = [format(x, form or ".3f") for x in (rate, value["low"], value["high"])]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


def _value(key: str) -> Any:
    """What the source of a name says."""
    source, *rest = key.split(".")
    if source == "derived":
        return getattr(derived, rest[0])()
    return SOURCES.get(source, sources.metric)(key)
