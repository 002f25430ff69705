"""The head set in data/heads.json: which heads, and how they were chosen."""

from dataclasses import dataclass

from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head


@dataclass(frozen=True)
class Persona:
    """A persona, and the wordings of its prompts."""

    persona: str
    system: str
    prefix: str


@dataclass(frozen=True)
class HeadSet:
    """A small set of heads in the best window that keeps the window's effect.

    Attributes
    ----------
    heads : list of Head
        Sorted; empty without a best window, or where the window gains nothing.
    chosen_by : str
        How the set was chosen.
    window : Window or None
        The best window, in which heads were searched.
    model : str
        Identity of the model.
    question : str
        Wording of the question.
    source, base : Persona
        The persona that gives z, and the persona that is patched.
    split : str
        Split of the statements that the set was chosen on.
    topics : list of str
        Their topics, sorted.
    n_statements : int
        Their number.
    positions : int
        Last positions at which z is patched.
    """

    heads: list[Head]
    chosen_by: str
    window: Window | None
    model: str
    question: str
    source: Persona
    base: Persona
    split: str
    topics: list[str]
    n_statements: int
    positions: int
