"""A claim, the checks that it stands on, and its verdict."""

from dataclasses import dataclass, field

from stages.lib.stats import NOTHING, Interval
from stages.lib.stats.run_points import Point

HELD, FAILED, UNTESTED = "held", "did not hold", "not testable"
LEVEL = 0.05  # of the p-values that a claim stands on
Estimate = Interval | Point | None  # of a run its accuracy counts


@dataclass(frozen=True)
class Check:
    """One thing that must be so if the claim is right.

    Attributes
    ----------
    passed : bool or None
        None where it could not be measured.
    says : str
        The sentence with its numbers, whatever they are.
    of_lying : bool
        Whether there is no lie where it does not pass.
    """

    passed: bool | None
    says: str
    of_lying: bool = False


@dataclass(frozen=True)
class Claim:
    """What is claimed.

    Attributes
    ----------
    title : str
        The claim, as one sentence.
    checks : list of Check
        Results and controls; all must pass.
    figures : tuple of str
        Names of pictures that show it.
    about_lies : bool
        Whether it says something of a lie, so that a model that does not lie says nothing of it.
    notes : list of str
        What is worth knowing and decides nothing.
    """

    title: str
    checks: list[Check]
    figures: tuple[str, ...] = ()
    about_lies: bool = True
    notes: list[str] = field(default_factory=list[str])

    def verdict(self, lies: bool | None) -> str:
        """`HELD` where every check passed, `FAILED` where one did not, else `UNTESTED`."""
        if self.about_lies and not lies:
            return UNTESTED
        if any(check.passed is False for check in self.checks):
            return FAILED
        return HELD if all(check.passed for check in self.checks) else UNTESTED

    def reason(self, lies: bool | None) -> str:
        """Why the verdict is not that it held; '' where it is."""
        verdict = self.verdict(lies)
        if verdict == UNTESTED and self.about_lies and not lies:
            if lies is None:
                return "no statement is known with which a lie could be told"
            return "the model does not lie when it is told to"
        if verdict == HELD:
            return ""
        stands = False if verdict == FAILED else None
        return next(check.says for check in self.checks if check.passed is stands)


def number(row: Estimate) -> str:
    """Write an estimate with its interval and n: ``0.986 [0.947, 0.997], n = 221``."""
    interval = _interval(row)
    if interval.value is None:
        return "not measured"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3g}, n = {interval.n}"
    ends = ", ".join(map(_short, (interval.low, interval.high)))
    return f"{_short(interval.value)} [{ends}], n = {interval.n}"


def above(row: Estimate, bound: float | None) -> bool | None:
    """Whether all of an interval lies above a bound; None where one of them is missing."""
    low = _interval(row).low
    return None if low is None or bound is None else low > bound


def below(row: Estimate, bound: float) -> bool | None:
    """Whether all of an interval lies below a bound; None where there is none."""
    high = _interval(row).high
    return None if high is None else high < bound


def not_above(row: Estimate, value: float) -> bool | None:
    """Whether no difference above a value was found; None where there is no interval."""
    low = _interval(row).low
    return None if low is None else low <= value


def not_below(row: Estimate, value: float) -> bool | None:
    """Whether no difference below a value was found; None where there is no interval."""
    high = _interval(row).high
    return None if high is None else high >= value


def holds(row: Estimate, value: float) -> bool | None:
    """Whether an interval holds a value; None where there is none."""
    interval = _interval(row)
    return (
        None
        if interval.low is None or interval.high is None
        else interval.low <= value <= interval.high
    )


def least(value: float | None, bound: float) -> bool | None:
    """Whether a number is below a bound; None where there is none."""
    return None if value is None else value < bound


def _interval(row: Estimate) -> Interval:
    """Read an estimate of any stage."""
    if row is None:
        return NOTHING
    return row.rate if isinstance(row, Point) else row


def _short(value: float) -> str:
    """Three decimals, or whole numbers as they are."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.3f}"
