"""What metrics/behaviour.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.answer_rates import Rates


@dataclass(frozen=True)
class Known:
    """Known statements, of how many."""

    known: int
    n: int


@dataclass(frozen=True)
class KnownByLabel:
    """Known statements of both labels, of true and of false statements."""

    both: Known
    true: Known
    false: Known


@dataclass(frozen=True)
class FirstToken(Interval):
    """Share of prompts in which a token is the most probable first one."""

    token: str


@dataclass(frozen=True)
class BehaviourMetrics:
    """How right each persona is, and what the model knows.

    Attributes
    ----------
    known : dict of str to KnownByLabel
        By topic, and ``all``.
    known_report : dict of str to Rates
        By persona, but for the neutral one, which is right on all: on known statements of the
        report split.
    personas : dict of str to dict of str to Rates
        By persona, then by topic, and ``all``.
    """

    known: dict[str, KnownByLabel]
    known_report: dict[str, Rates]
    personas: dict[str, dict[str, Rates]]


@dataclass(frozen=True)
class WithFirstTokens(BehaviourMetrics):
    """The same; and, of personas whose answers hold little, what comes first instead."""

    first_token: dict[str, FirstToken]
