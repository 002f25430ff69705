"""What metrics/behaviour.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.answer_rates import Rates

CAPTIONS = {
    "behaviour": "Accuracy by persona and topic, and of answers above a confidence.",
}


@dataclass(frozen=True)
class Known:
    """Numbers of known statements and of all statements."""

    known: int
    n: int


@dataclass(frozen=True)
class KnownByLabel:
    """Known statements of both labels together, and by label."""

    both: Known
    true: Known
    false: Known


@dataclass(frozen=True)
class FirstToken(Interval):
    """Fraction of prompts in which a token is the most probable first token."""

    token: str


@dataclass(frozen=True)
class BehaviourMetrics:
    """Accuracy of each persona, and numbers of statements that the model knows.

    Attributes
    ----------
    known : dict of str to KnownByLabel
        By topic, and ``all``.
    known_report : dict of str to Rates
        By persona, on known statements of the report split; without the neutral persona, whose
        accuracy there is 1.
    personas : dict of str to dict of str to Rates
        By persona, then by topic, and ``all``.
    """

    known: dict[str, KnownByLabel]
    known_report: dict[str, Rates]
    personas: dict[str, dict[str, Rates]]


@dataclass(frozen=True)
class WithFirstTokens(BehaviourMetrics):
    """`BehaviourMetrics`, with the most frequent first token of personas with low answer mass."""

    first_token: dict[str, FirstToken]
