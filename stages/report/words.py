"""Phrases in which several claims write numbers."""

from collections.abc import Iterable
from itertools import groupby

from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval
from stages.lib.stats.run_points import ByLabel
from stages.widths.metrics import WindowPoints


def labels(rates: ByLabel | None) -> str:
    """Write accuracy by label: 0.5 over both may be one answer to every statement."""
    if rates is None or rates.true.value is None or rates.false.value is None:
        return "by label not measured"
    return f"true statements {rates.true.value:.3f}, false ones {rates.false.value:.3f}"


def by_label(rates: ByLabel | None) -> tuple[str, str]:
    """Write accuracy on true and on false statements, as two cells of a table."""
    both = (None, None) if rates is None else (rates.true.value, rates.false.value)
    true, false = (plain(value) for value in both)
    return true, false


def layers(window: Window | WindowPoints) -> str:
    """Write a range of layers: ``layers 20-24``, or ``layer 23``."""
    if window.first_layer == window.last_layer:
        return f"layer {window.first_layer}"
    return f"layers {window.first_layer}-{window.last_layer}"


def probe(name: str | None) -> str:
    """Write the name of a kind of probe: ``mass mean corrected``."""
    return "no probe" if name is None else name.replace("_", " ")


def after(index: int | None) -> str:
    """Write an index of the residual stream, where 0 is the embeddings: ``after layer 16``."""
    if index is None:
        return "at no layer"
    return f"after layer {index - 1}" if index else "at the embeddings"


def plain(value: float | None, digits: int = 3) -> str:
    """Write a number that has no interval."""
    return "not measured" if value is None else f"{value:.{digits}f}"


def plural(n: int, noun: str, plural_noun: str = "") -> str:
    """Write a count and its noun."""
    return f"{n} {noun if n == 1 else plural_noun or noun + 's'}"


def listed(numbers: list[int]) -> str:
    """Write some numbers: ``21 and 22``, or ``none``."""
    return joined([str(number) for number in numbers])


def heads(head_ids: Iterable[Head]) -> str:
    """Write heads by layer: ``22.0, 23.0-3, 23.7-8``."""
    written: list[str] = []
    for layer, layer_heads in groupby(sorted(head_ids), key=lambda head: head.layer):
        numbers = sorted(head.head for head in layer_heads)
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


def told(row: Interval) -> str:
    """Write an estimate in a sentence: ``0.986 [0.947, 0.997] (n = 221)``."""
    return ends(row) if row.value is None else f"{ends(row)} (n = {row.n})"


def joined(names: list[str]) -> str:
    """Write some names: ``a, b and c``, or ``none``."""
    *most, last = names or ["none"]
    return f"{', '.join(most)} and {last}" if most else last
