"""Section `grid` of params.yaml."""

import itertools
from dataclasses import dataclass
from typing import Annotated, Any

from stages.lib.io import params
from stages.lib.io.cli import UserError
from stages.lib.io.ranges import Limit, Question, Slug, Some

WHERE = "params.yaml: grid"


@dataclass(frozen=True)
class GridConfig:
    """Section `grid` of params.yaml; every combination of names is a cell of the grid.

    Attributes
    ----------
    systems : tuple of str
        Names of system prompts; their texts are in section `prompt`, ``<name>_system``.
    questions, prefixes : dict of str to str or None
        Wordings by name; None is the question, or the base persona's prefix, of section `prompt`.
    limit : int or None
        Statements per topic; None takes all.
    """

    SECTION = "grid"
    systems: Some[Annotated[str, Slug()]]
    questions: dict[Any, Any]
    prefixes: dict[Any, Any]
    limit: Limit

    def __post_init__(self) -> None:
        """Refuse names that DVC or the tables could not tell apart, and two names of one text."""
        params.named(f"{WHERE}.questions", self.questions, Annotated[str | None, Question()])
        params.named(f"{WHERE}.prefixes", self.prefixes, str | None)
        _require_different(f"{WHERE}.questions", self.questions)
        _require_different(f"{WHERE}.prefixes", self.prefixes)

    @property
    def combinations(self) -> list[tuple[str, str, str]]:
        """Names of system prompt, question and prefix, in declared order."""
        return list(itertools.product(self.systems, self.questions, self.prefixes))


def _require_different(key: str, texts: dict[str, str | None]) -> None:
    """Refuse two names of one text: the text would be run twice."""
    name_of_text: dict[str | None, str] = {}
    for name, text in texts.items():
        if text in name_of_text:
            text_repr = "null" if text is None else repr(text)
            raise UserError(
                f"{key}: {name_of_text[text]!r} and {name!r} are both {text_repr}, "
                "expected two different texts"
            )
        name_of_text[text] = name
