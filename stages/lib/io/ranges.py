"""What a setting may be, written beside its type: ``limit: Annotated[int, Range(least=1)]``.

Each rule has a method `fault`, which says what it expected where a value does not pass, and returns
None where it does. `params.section` asks them all.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

NAME_LENGTH = 64
"""Longest name: names become file names, several of them joined."""
PLACEHOLDER = "{statement}"
"""As `chat.PLACEHOLDER`, which this does not import: rendering is no input of what patches."""
TAKEN = ("all",)
"""Names that tables use themselves."""


class Rule(Protocol):
    """Beside a type, in `Annotated`."""

    def fault(self, value: object) -> str | None:
        """What was expected, or None where the value passes."""


@dataclass(frozen=True)
class Range:
    """A number between bounds; None is no bound.

    Attributes
    ----------
    least, most : float or None
        Bounds that pass themselves.
    above, below : float or None
        Bounds that do not.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def fault(self, value: float) -> str | None:
        """Name the bounds of a number that is outside them."""
        inside = (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )
        bounds = {
            "at least": self.least,
            "above": self.above,
            "at most": self.most,
            "below": self.below,
        }
        named = [f"{text} {bound}" for text, bound in bounds.items() if bound is not None]
        return None if inside else ", ".join(named)


@dataclass(frozen=True)
class Distinct:
    """A list without a value twice, of at least `least` values."""

    least: int = 1

    def fault(self, value: Sequence[object]) -> str | None:
        """Say that values must differ, or how many there must be."""
        if len(value) < self.least:
            return f"at least {self.least}"
        return "different values" if len(set(value)) < len(value) else None


@dataclass(frozen=True)
class Length:
    """A list of a fixed length."""

    length: int

    def fault(self, value: Sequence[object]) -> str | None:
        """Say how many values there must be."""
        return None if len(value) == self.length else f"{self.length} values"


@dataclass(frozen=True)
class Ascending:
    """A list of numbers in order."""

    def fault(self, value: Sequence[float]) -> str | None:
        """Say that the least comes first."""
        return None if list(value) == sorted(value) else "the least first"


class OneOf:
    """One of some texts."""

    def __init__(self, *texts: str):
        self.texts = texts

    def fault(self, value: str) -> str | None:
        """List the texts."""
        return None if value in self.texts else f"one of {', '.join(self.texts)}"


class Slug:
    """A name that DVC can join with others, that is a file's name, and that tables leave free."""

    def __init__(self, *taken: str):
        self.taken = TAKEN + taken

    def fault(self, value: str) -> str | None:
        """Say what a name is made of, and which ones are taken."""
        if re.fullmatch(rf"[a-z0-9_]{{1,{NAME_LENGTH}}}", value) and value not in self.taken:
            return None
        taken = " or ".join(map(repr, self.taken))
        return f"a name of [a-z0-9_], of at most {NAME_LENGTH} characters, and not {taken}"


class Text:
    """A text that is not blank."""

    def fault(self, value: str) -> str | None:
        """Say that there must be more than blanks."""
        return None if value.strip() else "a text that is not blank"


class Question:
    """A text with a place for the statement."""

    def fault(self, value: str) -> str | None:
        """Name the place."""
        return None if PLACEHOLDER in value else f"{PLACEHOLDER} in it"


class Matching:
    """A text of a pattern, described in words."""

    def __init__(self, pattern: str, words: str):
        self.pattern, self.words = pattern, words

    def fault(self, value: str) -> str | None:
        """Describe the pattern."""
        return None if re.fullmatch(self.pattern, value) else self.words


Item = TypeVar("Item")

Count = Annotated[int, Range(least=1)]
"""How many of something that there must be."""
Repeats = Annotated[int, Range(least=0)]
"""How many draws or permutations; none is a choice."""
Limit = Annotated[int | None, Range(least=1)]
"""How many statements at most; None takes all."""
Seed = Annotated[int, Range(least=0, most=2**32 - 1)]
"""What scikit-learn takes as one."""
Share = Annotated[float, Range(least=0, most=1)]
"""A part of a whole, from none to all."""
Some = Annotated[tuple[Item, ...], Distinct()]
"""A list of different values, at least one."""
