"""Intervals that there are: numbers, where `Interval` may also hold None."""

from stages.lib.stats import Interval


def ends(found: Interval) -> tuple[float, float, float]:
    """Value, low and high."""
    assert found.value is not None
    assert found.low is not None
    assert found.high is not None
    return found.value, found.low, found.high


def span(found: Interval) -> float:
    """Width of an interval."""
    _, low, high = ends(found)
    return high - low
