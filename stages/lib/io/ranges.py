"""Rules for the values of settings, beside their type: ``limit: Annotated[int, Range(least=1)]``.

Each rule has a method `fault`, which returns None for a value that passes and otherwise says what
was expected. `params.section` applies all rules.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Protocol, TypeVar

NAME_LENGTH = 64
"""Maximum length of a name: file names are made of several names joined."""
PLACEHOLDER = "{statement}"
"""Stands for the statement in a question."""
RESERVED_NAMES = ("all",)
"""Names that tables use themselves, so that no setting may."""


class Rule(Protocol):
    """A rule that stands beside a type in `Annotated`."""

    def fault(self, value: object) -> str | None:
        """Say what was expected, or return None if the value passes."""


@dataclass(frozen=True)
class Range:
    """A number between bounds; None means no bound.

    Attributes
    ----------
    least, most : float or None
        Inclusive bounds.
    above, below : float or None
        Exclusive bounds.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def fault(self, value: float) -> str | None:
        """List the bounds if a number is outside them."""
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
    """A list of at least `least` values, all different."""

    least: int = 1

    def fault(self, value: Sequence[object]) -> str | None:
        """Say that values must differ, or how many are required."""
        if len(value) < self.least:
            return f"at least {self.least}"
        return "different values" if len(set(value)) < len(value) else None


@dataclass(frozen=True)
class Length:
    """A list of a fixed length."""

    length: int

    def fault(self, value: Sequence[object]) -> str | None:
        """Say how many values are required."""
        return None if len(value) == self.length else f"{self.length} values"


@dataclass(frozen=True)
class Ascending:
    """A list of numbers in ascending order."""

    def fault(self, value: Sequence[float]) -> str | None:
        """Say that the least number must come first."""
        return None if list(value) == sorted(value) else "the least first"


class OneOf:
    """One of several allowed texts."""

    def __init__(self, *texts: str):
        self.texts = texts

    def fault(self, value: str) -> str | None:
        """List the allowed texts."""
        return None if value in self.texts else f"one of {', '.join(self.texts)}"


class Slug:
    """A name that can be a file name, that DVC can join with others, and that is not reserved."""

    def __init__(self, *reserved_names: str):
        self.reserved_names = RESERVED_NAMES + reserved_names

    def fault(self, value: str) -> str | None:
        """Say what a name is made of, and which names are reserved."""
        if (
            re.fullmatch(rf"[a-z0-9_]{{1,{NAME_LENGTH}}}", value)
            and value not in self.reserved_names
        ):
            return None
        reserved_names = " or ".join(map(repr, self.reserved_names))
        return f"a name of [a-z0-9_], of at most {NAME_LENGTH} characters, and not {reserved_names}"


class Text:
    """A text that is not blank."""

    def fault(self, value: str) -> str | None:
        """Say that the text must not be blank."""
        return None if value.strip() else "a text that is not blank"


class Question:
    """A text that holds the placeholder of the statement."""

    def fault(self, value: str) -> str | None:
        """Name the placeholder."""
        return None if PLACEHOLDER in value else f"{PLACEHOLDER} in it"


class Matching:
    """A text that matches a regular expression, which `words` describes."""

    def __init__(self, pattern: str, words: str):
        self.pattern, self.words = pattern, words

    def fault(self, value: str) -> str | None:
        """Describe the pattern."""
        return None if re.fullmatch(self.pattern, value) else self.words


Item = TypeVar("Item")

Count = Annotated[int, Range(least=1)]
"""A number of items, at least one."""
Repeats = Annotated[int, Range(least=0)]
"""A number of draws or permutations; 0 is allowed."""
Limit = Annotated[int | None, Range(least=1)]
"""Maximum number of statements; None takes all."""
Seed = Annotated[int, Range(least=0, most=2**32 - 1)]
"""A seed that scikit-learn accepts."""
Share = Annotated[float, Range(least=0, most=1)]
"""A fraction, from 0 to 1."""
Some = Annotated[tuple[Item, ...], Distinct()]
"""A list of at least one value, all different."""
