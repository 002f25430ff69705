"""Words that several claims write numbers with."""

from collections.abc import Iterable
from itertools import groupby

from stages.lib.patching.patch import Head
from stages.lib.stats import Interval
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
    return joined([str(number) for number in numbers])


def heads(every: Iterable[Head]) -> str:
    """Write heads by layer: ``22.0, 23.0-3, 23.7-8``."""
    written: list[str] = []
    for layer, own in groupby(sorted(every), key=lambda head: head.layer):
        numbers = sorted(head.head for head in own)
        firsts = [n for n in numbers if n - 1 not in numbers]
        lasts = [n for n in numbers if n + 1 not in numbers]
        written += [
            f"{layer}.{first}" if first == last else f"{layer}.{first}-{last}"
            for first, last in zip(firsts, lasts, strict=True)
        ]
    return ", ".join(written) or "none"


def ends(row: Interval) -> str:
    """Write an estimate with its interval, without the number of statements."""
    if row.value is None:
        return "not measured"
    if row.low is None or row.high is None:
        return f"{row.value:.3f}"
    return f"{row.value:.3f} [{row.low:.3f}, {row.high:.3f}]"


def joined(names: list[str]) -> str:
    """Write some names: ``a, b and c``, or ``none``."""
    *most, last = names or ["none"]
    return f"{', '.join(most)} and {last}" if most else last
