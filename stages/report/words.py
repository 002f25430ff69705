"""Words that several claims write numbers with."""

from stages.lib.stats.run_points import ByLabel
from stages.lib.stats.windows import Window
from stages.widths.metrics import WindowPoints


def labels(both: ByLabel | None) -> str:
    """Write accuracy by label: half right may be one answer to everything."""
    if both is None or both.true.value is None or both.false.value is None:
        return "by label not measured"
    return f"true statements {both.true.value:.3f}, false ones {both.false.value:.3f}"


def layers(window: Window | WindowPoints) -> str:
    """Write a range of layers: ``layers 20-24``, or ``layer 23``."""
    if window.first_layer == window.last_layer:
        return f"layer {window.first_layer}"
    return f"layers {window.first_layer}-{window.last_layer}"


def after(index: int | None) -> str:
    """Write an index of the residual stream, of which 0 is the embeddings: ``after layer 16``."""
    if index is None:
        return "at no layer"
    return f"after layer {index - 1}" if index else "at the embeddings"


def plain(value: float | None, digits: int = 3) -> str:
    """Write a number that has no interval."""
    return "not measured" if value is None else f"{value:.{digits}f}"


def plural(n: int, one: str, more: str = "") -> str:
    """Write a count and its noun."""
    return f"{n} {one if n == 1 else more or one + 's'}"


def listed(numbers: list[int]) -> str:
    """Write some numbers: ``21 and 22``, or ``none``."""
    *most, last = map(str, numbers) if numbers else ["none"]
    return f"{', '.join(most)} and {last}" if most else last
