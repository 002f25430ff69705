"""A claim, the checks that it stands on, and its verdict."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stages.lib import stats
from stages.lib.stats import LARGEST_P, MARGIN, NOTHING, Interval
from stages.lib.stats.run_points import Point

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"
UNTESTED = "not testable"  # nothing was measured: no verdict
VERDICTS = (NOT_SUPPORTED, INCONCLUSIVE, UNTESTED, SUPPORTED)  # which of several checks decides
FEW = 0.1  # the largest fraction of draws that may do as well
Estimate = Interval | Point | None  # of a run its accuracy counts


@dataclass(frozen=True)
class Chance:
    """How often random draws do as well.

    Attributes
    ----------
    p : float
        P-value before correction.
    least : float
        The smallest value attainable with this number of draws.
    refuted : bool
        Whether the interval of that fraction lies above the largest p-value.
    told : bool
        Whether there are enough draws to estimate how often chance does as well.
    """

    p: float
    least: float
    refuted: bool = False
    told: bool = True


@dataclass(frozen=True)
class Check:
    """One measured number, and what it must be if the claim is right.

    Attributes
    ----------
    measures : str
        What is measured.
    expected : str
        What it must be.
    measured : str
        What it is.
    verdict : str
        Of `VERDICTS`; `UNTESTED` where it was not measured.
    file : str
        The stage in whose metrics it stands; '' where the claim's node is meant.
    chance : Chance or None
        Where a p-value decides.
    of_lying : bool
        Whether the model does not lie if this check is not supported.
    """

    measures: str
    expected: str
    measured: str
    verdict: str
    file: str = ""
    chance: Chance | None = None
    of_lying: bool = False

    @property
    def says(self) -> str:
        """What was measured, in one line."""
        return f"{self.measures}: {self.measured}"


@dataclass(frozen=True)
class Note:
    """A sentence that decides nothing, and the stage whose metrics have its numbers."""

    says: str
    file: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers that decide nothing, where sentences would repeat each other.

    Attributes
    ----------
    title : str
        What the numbers are, as a sentence without its full stop.
    head : tuple of str
        Names of the columns.
    rows : list of tuple of str
        Cells; the first names the row.
    file : str
        The stage whose metrics have the numbers.
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    file: str = ""


@dataclass(frozen=True)
class Claim:
    """What is claimed.

    Attributes
    ----------
    question : str
        The question, as a heading; it must not read as an answer.
    claimed : str
        The claim, as one sentence.
    checks : list of Check
        Results and controls; all must be supported.
    figures : tuple of str
        Names of pictures that show it.
    about_lies : bool
        Whether the claim is about a lie, so that it cannot be tested on a model that does not lie.
    notes : list of Note
        Further results, which decide nothing.
    tables : list of Table
        Such results that are many.
    """

    question: str
    claimed: str
    checks: list[Check]
    figures: tuple[str, ...] = ()
    about_lies: bool = True
    notes: list[Note] = field(default_factory=list[Note])
    tables: list[Table] = field(default_factory=list[Table])

    def verdict(self, lies: bool | None) -> str:
        """`SUPPORTED` where every check is, else that of the check that decides."""
        if self.about_lies and not lies:
            return UNTESTED
        return self.deciding().verdict

    def deciding(self) -> Check:
        """The first check that is not supported, else that is inconclusive, else the first."""
        return min(self.checks, key=lambda check: VERDICTS.index(check.verdict))

    def says(self, lies: bool | None) -> str:
        """What was measured by the check that decides, or why there is nothing to measure."""
        if not self.about_lies or lies:
            return self.deciding().says
        if lies is None:
            return "no statement is known with which a lie could be told"
        return "the model does not lie when it is told to"


def above(
    measures: str, row: Estimate, bound: float | None, file: str = "", of_lying: bool = False
) -> Check:
    """Check that an estimate lies above a bound.

    Parameters
    ----------
    measures : str
        What the estimate is of.
    row : Interval, Point or None
    bound : float or None
        Supported where all of the interval is above it, not supported where all of it is below.
    file : str
        As in `Check`.
    of_lying : bool
        As in `Check`.
    """
    return _beside(measures, row, (bound, None), f"above {_bound(bound)}", file, of_lying)


def below(
    measures: str, row: Estimate, bound: float, file: str = "", of_lying: bool = False
) -> Check:
    """Check that an estimate lies below a bound; parameters as in `above`."""
    return _beside(measures, row, (None, bound), f"below {_bound(bound)}", file, of_lying)


def between(
    measures: str, row: Estimate, ends: tuple[float, float], file: str = "", digits: int = 2
) -> Check:
    """Check that an estimate lies in a range.

    Parameters
    ----------
    measures : str
        What the estimate is of.
    row : Interval, Point or None
    ends : tuple of float
        Supported where all of the interval is between them, not supported where all of it is on
        one side of both.
    file : str
        As in `Check`.
    digits : int
        Of the ends, as they are written.
    """
    expected = f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"
    return _beside(measures, row, ends, expected, file)


def alike(measures: str, difference: Estimate, file: str = "", margin: float = MARGIN) -> Check:
    """Check that two runs do equally well.

    Parameters
    ----------
    measures : str
        What the difference is of.
    difference : Interval, Point or None
        One run minus the other.
    file : str
        As in `Check`.
    margin : float
        Supported where all of the interval is inside the margin on both sides of 0, not supported
        where all of it is outside. An interval that merely holds 0 supports nothing.
    """
    expected = f"within ±{margin:.2f}"
    return _beside(measures, difference, (-margin, margin), expected, file)


def no_worse(measures: str, difference: Estimate, file: str = "", margin: float = MARGIN) -> Check:
    """Check that a run is worse than another by at most a margin; parameters as in `alike`."""
    return _beside(measures, difference, (-margin, None), f"above -{margin:.2f}", file)


def so(measures: str, expected: str, measured: str, passed: bool | None, file: str = "") -> Check:
    """Check what has no interval; None where it was not measured.

    Parameters
    ----------
    measures, expected, measured, file
        As in `Check`.
    passed : bool or None
        Whether it is as expected.
    """
    verdict = UNTESTED if passed is None else SUPPORTED if passed else NOT_SUPPORTED
    return Check(measures, expected, measured, verdict, file)


def unlikely(
    measures: str, measured: str, chance: Chance | None, file: str = "", expected: str = ""
) -> Check:
    """Check that random draws seldom do as well; the verdict is set by `corrected`.

    Parameters
    ----------
    measures, measured, file
        As in `Check`.
    chance : Chance or None
        None where it was not measured.
    expected : str
        What is expected beside the p-value.
    """
    wanted = "; ".join(filter(None, (expected, f"p below {LARGEST_P}")))
    verdict = UNTESTED if chance is None else _unlikely(chance, chance.p)
    return Check(measures, wanted, measured, verdict, file, chance)


def among(n_as_good: int, n: int) -> Chance | None:
    """How often draws do as well as the real result; None without draws.

    Parameters
    ----------
    n_as_good : int
        Draws that do.
    n : int
        All draws.

    Returns
    -------
    Chance or None
        Refuted if the 95 % interval of the fraction that does as well lies above the largest
        p-value; told if that interval ends below `FEW`: one draw of 20 sets shows nothing.
    """
    share = stats.proportion(n_as_good, n)
    if share.low is None or share.high is None:
        return None
    refuted, told = share.low > LARGEST_P, share.high < FEW
    return Chance((1 + n_as_good) / (1 + n), 1 / (1 + n), refuted, told)


def corrected(claims: Sequence[Claim]) -> list[Claim]:
    """Correct all p-values for their number by Holm's method, and state it beside each.

    Parameters
    ----------
    claims : list of Claim
        All of a page.

    Returns
    -------
    list of Claim
        In the same order. Other checks stay as they are: each has an interval of 95 %.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    p = [check.chance.p for claim in claims for check in claim.checks if check.chance]
    adjusted = iter(enumerate(holm(p)))

    def mend(check: Check) -> Check:
        if check.chance is None:
            return check
        (i, own), chance = next(adjusted), check.chance
        least = f", the smallest possible being {chance.least:.3f}"
        says = f"{check.measured}; p = {chance.p:.3f}{least}; {own:.3f} after correction"
        if holm([*p[:i], chance.least, *p[i + 1 :]])[i] >= LARGEST_P:
            says += f", where no result could be below {LARGEST_P}"
        return replace(check, measured=says, verdict=_unlikely(chance, own))

    return [replace(claim, checks=[mend(check) for check in claim.checks]) for claim in claims]


def holm(p: Sequence[float]) -> list[float]:
    """P-values of a family of tests, corrected by Holm's method.

    Parameters
    ----------
    p : list of float
        In any order.

    Returns
    -------
    list of float
        The i-th smallest of n times n - i, counted from 0; never less than a smaller one's, nor
        above 1.
    """
    adjusted, largest = [0.0] * len(p), 0.0
    for rank, place in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
        largest = max(largest, min(1.0, p[place] * (len(p) - rank)))
        adjusted[place] = largest
    return adjusted


def number(row: Estimate) -> str:
    """Write an estimate with its interval and n: ``0.986 [0.947, 0.997], n = 221``."""
    interval = _interval(row)
    if interval.value is None:
        return "not measured"
    if interval.low is None or interval.high is None:
        return f"{interval.value:.3g}, n = {interval.n}"
    ends = ", ".join(map(_short, (interval.low, interval.high)))
    return f"{_short(interval.value)} [{ends}], n = {interval.n}"


def _beside(
    measures: str,
    row: Estimate,
    ends: tuple[float | None, float | None],
    expected: str,
    file: str,
    of_lying: bool = False,
) -> Check:
    """Place an interval in a range: inside, wholly outside, or neither."""
    interval, (least, most) = _interval(row), ends
    if interval.low is None or interval.high is None or ends == (None, None):
        verdict = UNTESTED
    else:
        low, high = (
            (-float("inf") if least is None else least),
            float("inf") if most is None else most,
        )
        inside = low < interval.low and interval.high < high
        outside = interval.high < low or interval.low > high
        verdict = SUPPORTED if inside else NOT_SUPPORTED if outside else INCONCLUSIVE
    return Check(measures, expected, number(row), verdict, file, of_lying=of_lying)


def _unlikely(chance: Chance, p: float) -> str:
    """The verdict of a p-value."""
    if p < LARGEST_P and chance.told:
        return SUPPORTED
    return NOT_SUPPORTED if chance.refuted else INCONCLUSIVE


def _interval(row: Estimate) -> Interval:
    """Read an estimate of any stage."""
    if row is None:
        return NOTHING
    return row.rate if isinstance(row, Point) else row


def _bound(value: float | None) -> str:
    """Write a bound."""
    return "what was not measured" if value is None else f"{value:.3g}"


def _short(value: float) -> str:
    """Three decimals, or whole numbers as they are."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.3f}"
