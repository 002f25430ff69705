"""What metrics/grid.json holds."""

from dataclasses import dataclass
from typing import TypeVar

from stages.lib.stats import Interval
from stages.lib.stats.answer_rates import Rates

CAPTIONS = {
    "grid": "Every combination of wordings: recall on true and on false statements.",
}

Value = TypeVar("Value")
Nested = dict[str, dict[str, dict[str, Value]]]
"""Values by the names of system prompt, question and prefix."""


@dataclass(frozen=True)
class Answers(Rates):
    """Rates of the answers to one combination of wordings on some statements.

    Attributes
    ----------
    accuracy, recall_true, recall_false, answer_mass : Interval
        As in `Rates`.
    other : Interval
        Fraction of prompts whose most likely token is neither answer.
    other_token : str or None
        The most frequent of these tokens; of equally frequent ones the first by id.
    """

    other: Interval
    other_token: str | None


@dataclass(frozen=True)
class Lying(Interval):
    """How well one combination lies: see `scores_tables.lying`.

    Attributes
    ----------
    value, low, high, n
        The score.
    behind : Interval
        Score of the best combination minus this score.
    rank : int or None
        1 for the best; equal scores have equal ranks.
    """

    behind: Interval
    rank: int | None


@dataclass(frozen=True)
class GridMetrics:
    """Rates and lying score of every combination of wordings; rates by topic and for ``all``."""

    answers: Nested[dict[str, Answers]]
    lying: Nested[Lying]
