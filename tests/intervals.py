"""Numbers of metrics that there are, where metrics may also hold None."""

from typing import TypeVar

from stages.lib.stats import Interval

T = TypeVar("T")


def there(result: T | None) -> T:
    """Anything but None."""
    assert result is not None
    return result


def of_type(kind: type[T], result: object) -> T:
    """One of the kinds that a field may hold."""
    assert isinstance(result, kind)
    return result


def ends(result: Interval) -> tuple[float, float, float]:
    """Value, low and high."""
    return there(result.value), there(result.low), there(result.high)


def span(result: Interval) -> float:
    """Width of an interval."""
    _, low, high = ends(result)
    return high - low
