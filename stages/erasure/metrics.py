"""What metrics/erasure.json holds."""

from dataclasses import dataclass

from stages.lib.stats import Interval
from stages.lib.stats.run_points import ByLabel, Count, Difference

CAPTIONS = {
    "erasure": ("Accuracy with the truth erased from z, by window, and truth probes on erased z."),
}


@dataclass(frozen=True)
class Numbers:
    """Scores of one run, over draws and statements; n counts draws times statements.

    Attributes
    ----------
    accuracy, p_correct : Interval
    by_label : ByLabel
        Accuracy on true and on false statements.
    answer_mass : Interval
        Probability of both answers together.
    log_odds : Interval
        Mean absolute log-odds of the answers, in nats.
    """

    accuracy: Interval
    p_correct: Interval
    by_label: ByLabel
    answer_mass: Interval
    log_odds: Interval


@dataclass(frozen=True)
class ErasureCounts:
    """Numbers of windows by the effect of LEACE; None where there is no window.

    Attributes
    ----------
    windows : int
        Windows with statements.
    at_chance : int or None
        Windows where the interval of LEACE's accuracy contains 0.5.
    unlike_none, unlike_permuted, unlike_random : int or None
        Windows where the interval of LEACE minus the other run, in p_correct, excludes 0.
    """

    windows: int
    at_chance: int | None
    unlike_none: int | None
    unlike_permuted: int | None
    unlike_random: int | None


@dataclass(frozen=True)
class PersonaErasure:
    """Erasers in one persona's own run.

    Attributes
    ----------
    none : Numbers
        The unpatched run.
    removed : dict of str to float or None
        Fraction of z's variance that each eraser removes, mean over draws.
    windows : dict of str to dict of str to Numbers or Difference
        By layers of the window: each eraser, and LEACE minus another run (``leace - random``),
        paired.
    as_far : dict of str to dict of str to int
        By layers of the window and control: draws that move p_correct away from the unpatched run
        at least as far as LEACE does, in the same direction.
    counts : ErasureCounts
    """

    none: Numbers
    removed: dict[str, float | None]
    windows: dict[str, dict[str, Numbers | Difference]]
    as_far: dict[str, dict[str, int]]
    counts: ErasureCounts


@dataclass(frozen=True)
class ProbeRate(Interval):
    """Accuracy of a probe: mean over layers, with the lowest and the highest layer."""

    least: float
    greatest: float


@dataclass(frozen=True)
class ErasureMetrics:
    """Runs and probes with truth erased from z.

    Attributes
    ----------
    source, base : str
        Personas.
    positions : int
        Last positions that are patched.
    draws : int
        Draws of each control: erasers of permuted labels, and of random directions.
    fitted_on, scored_on : Count
        Statements that erasers are fitted on, and statements that they are scored on.
    personas : dict of str to PersonaErasure
    probes : dict of str to dict of str to dict of str to ProbeRate
        By persona, probe and kind of z. Empty where no probe was fitted.
    """

    source: str
    base: str
    positions: int
    draws: int
    fitted_on: Count
    scored_on: Count
    personas: dict[str, PersonaErasure]
    probes: dict[str, dict[str, dict[str, ProbeRate]]]
