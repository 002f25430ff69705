"""Numbers of metrics that there are, where metrics may also hold None."""

from typing import TypeVar

from stages.lib.stats import Interval

T = TypeVar("T")


def there(found: T | None) -> T:
    """Anything but None."""
    assert found is not None
    return found


def of_type(kind: type[T], found: object) -> T:
    """One of the kinds that a field may hold."""
    assert isinstance(found, kind)
    return found


def ends(found: Interval) -> tuple[float, float, float]:
    """Value, low and high."""
    return there(found.value), there(found.low), there(found.high)


def span(found: Interval) -> float:
    """Width of an interval."""
    _, low, high = ends(found)
    return high - low
