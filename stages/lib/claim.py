"""Claims of the report, the checks that they rest on, and their verdicts."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from stages.lib import stats
from stages.lib.stats import LARGEST_P, MARGIN, NOTHING, Interval
from stages.lib.stats.run_points import Point

SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE = "supported", "not supported", "inconclusive"
UNTESTED = "not testable"  # nothing was measured
# The first of these that a check of the claim has is the claim's verdict.
VERDICTS = (NOT_SUPPORTED, INCONCLUSIVE, UNTESTED, SUPPORTED)
FEW = 0.1  # largest fraction of random draws that may do as well as the result
Estimate = Interval | Point | None  # of a Point the accuracy is checked


@dataclass(frozen=True)
class Chance:
    """How often random draws do as well as the result.

    Attributes
    ----------
    p : float
        P-value before correction.
    least : float
        Smallest p-value attainable with this number of draws.
    refuted : bool
        Whether the interval of the fraction of draws that do as well lies above `LARGEST_P`.
    enough_draws : bool
        Whether there are enough draws to estimate how often chance does as well.
    """

    p: float
    least: float
    refuted: bool = False
    enough_draws: bool = True


@dataclass(frozen=True)
class Check:
    """One measurement, and the value that the claim requires.

    Attributes
    ----------
    measures : str
        What is measured.
    expected : str
        The required value, in words.
    measured : str
        The measured value, in words.
    verdict : str
        One of `VERDICTS`; `UNTESTED` if it was not measured.
    file : str
        Stage whose metrics hold the number; '' for the stage that makes the claim.
    chance : Chance or None
        The p-value, if it decides.
    of_lying : bool
        Whether an unsupported check means that the model does not lie.
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
        """The measurement in one line."""
        return f"{self.measures}: {self.measured}"


@dataclass(frozen=True)
class Note:
    """A sentence that does not affect the verdict, and the stage whose metrics have its numbers."""

    says: str
    file: str = ""


@dataclass(frozen=True)
class Table:
    """Numbers that do not affect the verdict, as a table where sentences would repeat.

    Attributes
    ----------
    title : str
        Description of the numbers, as a sentence without its full stop.
    head : tuple of str
        Names of the columns.
    rows : list of tuple of str
        Cells; the first cell names the row.
    file : str
        Stage whose metrics have the numbers.
    """

    title: str
    head: tuple[str, ...]
    rows: list[tuple[str, ...]]
    file: str = ""


@dataclass(frozen=True)
class Claim:
    """A claim of the report with its checks.

    Attributes
    ----------
    question : str
        The question, as a heading; it must not read as an answer.
    claimed : str
        The claim, as one sentence.
    checks : list of Check
        Results and controls; all must be supported.
    figures : tuple of str
        File names of figures that show the results.
    about_lies : bool
        Whether the claim is about lies, so that it cannot be tested on a model that does not lie.
    notes : list of Note
        Further results, which do not affect the verdict.
    tables : list of Table
        Further results as tables.
    """

    question: str
    claimed: str
    checks: list[Check]
    figures: tuple[str, ...] = ()
    about_lies: bool = True
    notes: list[Note] = field(default_factory=list[Note])
    tables: list[Table] = field(default_factory=list[Table])

    def verdict(self, lies: bool | None) -> str:
        """Return the deciding check's verdict; `UNTESTED` if it needs a lie and there is none."""
        if self.about_lies and not lies:
            return UNTESTED
        return self.deciding().verdict

    def deciding(self) -> Check:
        """Return the first check with the verdict that comes first in `VERDICTS`."""
        return min(self.checks, key=lambda check: VERDICTS.index(check.verdict))

    def says(self, lies: bool | None) -> str:
        """Return the measurement of the deciding check, or why the claim cannot be tested."""
        if not self.about_lies or lies:
            return self.deciding().says
        if lies is None:
            return "it is not decided whether the model lies when it is told to"
        return "the model does not lie when it is told to"


def above(
    measures: str, row: Estimate, bound: float | None, file: str = "", of_lying: bool = False
) -> Check:
    """Check that an estimate lies above a bound.

    Parameters
    ----------
    measures : str
        What is estimated.
    row : Interval, Point or None
        The estimate.
    bound : float or None
        Supported if the whole interval is above the bound, not supported if it is wholly below.
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
        What is estimated.
    row : Interval, Point or None
        The estimate.
    ends : tuple of float
        Supported if the whole interval is between them, not supported if it is wholly below or
        wholly above the range.
    file : str
        As in `Check`.
    digits : int
        Decimals with which the ends are written.
    """
    expected = f"{ends[0]:.{digits}f} to {ends[1]:.{digits}f}"
    return _beside(measures, row, ends, expected, file)


def alike(measures: str, difference: Estimate, file: str = "", margin: float = MARGIN) -> Check:
    """Check that two runs do equally well, within a margin.

    Parameters
    ----------
    measures : str
        What the difference measures.
    difference : Interval, Point or None
        One run minus the other.
    file : str
        As in `Check`.
    margin : float
        Supported if the whole interval is within ± the margin, not supported if it is wholly
        outside. An interval that merely includes 0 supports nothing.
    """
    expected = f"within ±{margin:.2f}"
    return _beside(measures, difference, (-margin, margin), expected, file)


def no_worse(measures: str, difference: Estimate, file: str = "", margin: float = MARGIN) -> Check:
    """Check that a run is worse than another by at most a margin; parameters as in `alike`."""
    return _beside(measures, difference, (-margin, None), f"above -{margin:.2f}", file)


def so(measures: str, expected: str, measured: str, passed: bool | None, file: str = "") -> Check:
    """Check a result that has no interval.

    Parameters
    ----------
    measures, expected, measured, file
        As in `Check`.
    passed : bool or None
        Whether the result is as expected; None if it was not measured.
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
        None if it was not measured.
    expected : str
        Further requirement beside the p-value, in words.
    """
    requirement = "; ".join(filter(None, (expected, f"p below {LARGEST_P}")))
    verdict = UNTESTED if chance is None else _unlikely(chance, chance.p)
    return Check(measures, requirement, measured, verdict, file, chance)


def among(n_as_good: int, n: int) -> Chance | None:
    """Estimate how often random draws do as well as the real result.

    Parameters
    ----------
    n_as_good : int
        Number of draws that do as well.
    n : int
        Number of all draws.

    Returns
    -------
    Chance or None
        `refuted` if the 95 % interval of the fraction that does as well lies above `LARGEST_P`;
        `enough_draws` if this interval ends below `FEW`, for which 20 draws are too few. None
        without draws.
    """
    share = stats.proportion(n_as_good, n)
    if share.low is None or share.high is None:
        return None
    refuted, enough_draws = share.low > LARGEST_P, share.high < FEW
    return Chance((1 + n_as_good) / (1 + n), 1 / (1 + n), refuted, enough_draws)


def corrected(claims: Sequence[Claim]) -> list[Claim]:
    """Correct all p-values of a page by Holm's method, and state both values in each check.

    Parameters
    ----------
    claims : list of Claim
        All claims of a page.

    Returns
    -------
    list of Claim
        In the same order. Checks without a p-value are unchanged: each has a 95 % interval.

    References
    ----------
    Holm (1979), Scandinavian Journal of Statistics 6, 65-70.
    """
    p = [check.chance.p for claim in claims for check in claim.checks if check.chance]
    adjusted = iter(enumerate(holm(p)))

    def mend(check: Check) -> Check:
        if check.chance is None:
            return check
        (i, p_corrected), chance = next(adjusted), check.chance
        least = f", the smallest possible being {chance.least:.3f}"
        says = f"{check.measured}; p = {chance.p:.3f}{least}; {p_corrected:.3f} after correction"
        if holm([*p[:i], chance.least, *p[i + 1 :]])[i] >= LARGEST_P:
            says += f", where no result could be below {LARGEST_P}: this check cannot pass"
        return replace(check, measured=says, verdict=_unlikely(chance, p_corrected))

    return [replace(claim, checks=[mend(check) for check in claim.checks]) for claim in claims]


def holm(p: Sequence[float]) -> list[float]:
    """Correct the p-values of a family of tests by Holm's method.

    Parameters
    ----------
    p : list of float
        P-values in any order.

    Returns
    -------
    list of float
        Corrected p-values in the same order: the i-th smallest of n (from 0) is multiplied by
        n - i, and raised to the largest corrected value of smaller p-values; at most 1.
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
    """Check whether an interval is wholly inside a range, wholly outside, or neither."""
    interval, (least, most) = _interval(row), ends
    if interval.value is None or ends == (None, None):
        verdict = UNTESTED
    elif interval.low is None or interval.high is None:  # too few subjects for an interval
        verdict = INCONCLUSIVE
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
    """Return the verdict of a p-value."""
    if p < LARGEST_P and chance.enough_draws:
        return SUPPORTED
    return NOT_SUPPORTED if chance.refuted else INCONCLUSIVE


def _interval(row: Estimate) -> Interval:
    """Turn an estimate of any kind into an interval."""
    if row is None:
        return NOTHING
    return row.rate if isinstance(row, Point) else row


def _bound(value: float | None) -> str:
    """Write a bound."""
    return "what was not measured" if value is None else f"{value:.3g}"


def _short(value: float) -> str:
    """Write a number with three decimals, or without decimals if it is whole and above 1."""
    return f"{value:.0f}" if float(value).is_integer() and abs(value) > 1 else f"{value:.3f}"
