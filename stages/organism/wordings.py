"""Wordings to train and to check organisms with."""

import re
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from ruamel.yaml import YAML

from stages.lib.io.cli import UserError
from stages.lib.io.ranges import PLACEHOLDER

PERSONAS = ("neutral", "honest", "lying")
KEYS = (*PERSONAS, "questions", "prefixes")

Texts = dict[str, tuple[str, ...]]
"""One set of wordings: for each of `KEYS`, the texts to draw from."""


@dataclass(frozen=True)
class TrainingWording:
    """The words around a statement, and whether they ask for a lie."""

    persona: str
    system: str
    question: str
    prefix: str

    @property
    def lies(self) -> bool:
        """Whether the wording asks for the wrong answer."""
        return self.persona == "lying"


def read(file: Path, name: str) -> Texts:
    """Read one set of wordings, ``training`` or ``checking``.

    Raises
    ------
    UserError
        If one of its lists is missing or empty, a text is no string, or a question lacks the
        placeholder of the statement.
    """
    content = YAML(typ="safe").load(file.read_text(encoding="utf-8"))
    texts: dict[str, Any] = content.get(name) or {}
    for key in KEYS:
        if not texts.get(key):
            raise UserError(f"{file}: {name}.{key}: no texts, expected at least one")
        for text in texts[key]:
            if not isinstance(text, str):
                raise UserError(f"{file}: {name}.{key}: expected a text in quotes, found {text!r}")
    for question in texts["questions"]:
        if PLACEHOLDER not in question:
            raise UserError(f"{file}: {name}.questions: no {PLACEHOLDER} in {question!r}")
    return {key: tuple(texts[key]) for key in KEYS}


def draw(texts: Texts, persona: str, random: Random) -> TrainingWording:
    """Draw a wording of a persona: system prompt, question and prefix independently."""
    keys = (persona, "questions", "prefixes")
    return TrainingWording(persona, *(_choose(random.choice(texts[key]), random) for key in keys))


def _choose(text: str, random: Random) -> str:
    """Replace each {a|b} by a or b, drawn at random."""
    return re.sub(r"\{([^{}]*\|[^{}]*)\}", lambda m: random.choice(m[1].split("|")), text)
