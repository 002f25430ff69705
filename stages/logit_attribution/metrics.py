"""What metrics/logit_attribution.json holds: contributions in nats toward the right answer."""

from dataclasses import dataclass

from stages.lib.stats import Interval

CAPTIONS = {
    "logit_attribution": "Direct logit attribution of attention and MLPs, and the logit lens.",
}


@dataclass(frozen=True)
class Token:
    """A token, by id and text."""

    id: int
    text: str


@dataclass(frozen=True)
class Tokens:
    """The two tokens whose logits are compared, and their fraction of the answers' probability."""

    true: Token | None
    false: Token | None
    share: float | None


@dataclass(frozen=True)
class Sum:
    """How well the parts of the logit difference add up, in nats.

    Attributes
    ----------
    largest_error, largest_heads_error : float or None
        Largest error over statements: of the sum of all parts, and of the sum of a layer's heads.
    largest_part : float or None
        Largest part of any statement, for comparison.
    """

    largest_error: float | None
    largest_heads_error: float | None
    largest_part: float | None


@dataclass(frozen=True)
class Runs:
    """Means of both runs, and of the source's minus the base's."""

    source: Interval
    base: Interval
    difference: Interval


@dataclass(frozen=True)
class Part(Runs):
    """One kind of parts; `share` is its fraction of the difference of the two runs' totals."""

    share: Interval


@dataclass(frozen=True)
class RankedPart(Interval):
    """Mean difference of one part; `rank` counts from 1, `share` is as in `Part`."""

    rank: int
    share: Interval


@dataclass(frozen=True)
class Top:
    """The parts whose mean differs most between the runs, by name."""

    heads: dict[str, RankedPart]
    sublayers: dict[str, RankedPart]


@dataclass(frozen=True)
class LensLayer:
    """The layer from which on two runs differ; None where they do not.

    Attributes
    ----------
    value, low, high : int or None
        The layer and its interval; `high` is None where too many draws never diverge.
    n : int
        Statements.
    gap : float or None
        Mean gap at that layer.
    """

    value: int | None
    low: int | None
    high: int | None
    n: int
    gap: float | None


@dataclass(frozen=True)
class LensDivergence:
    """Where the runs diverge.

    Attributes
    ----------
    differs : LensLayer
        Layer from which on the interval of the mean gap excludes 0, with the final sign. This
        depends on n: with many statements a small gap differs from 0.
    half : LensLayer
        Layer from which on the mean gap is at least half of the final gap.
    """

    differs: LensLayer
    half: LensLayer


@dataclass(frozen=True)
class Lens:
    """What the logit lens reads."""

    divergence: LensDivergence


@dataclass(frozen=True)
class Measured:
    """Results on two runs.

    Attributes
    ----------
    tokens : Tokens
    sum : Sum
    logit_difference : Runs
        What all parts add up to.
    parts : dict of str to Part
        By kind: ``embedding``, ``attention``, ``heads``, ``mlp``, ``constant``.
    top : Top
    lens : Lens
    """

    tokens: Tokens
    sum: Sum
    logit_difference: Runs
    parts: dict[str, Part]
    top: Top
    lens: Lens


@dataclass(frozen=True)
class LogitAttributionMetrics(Measured):
    """Results on two runs, and which runs they are.

    Attributes
    ----------
    source, base : str
        Personas.
    n : int
        Statements.
    reason : str or None
        Why nothing was measured.
    """

    source: str
    base: str
    n: int
    reason: str | None
