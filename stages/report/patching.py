"""The claim on patching a window of consecutive layers of one run into the other."""

from stages.lib.claim import Claim, Note, Table, above, number
from stages.lib.patching.layer_window import Window
from stages.lib.stats import Interval
from stages.lib.stats.run_points import ALL
from stages.report import words
from stages.report.results import Results
from stages.widths.metrics import Size
from stages.windows.metrics import WindowsMetrics

WINDOWS, WIDTHS = "windows", "widths"


def window(results: Results, source: str, base: str) -> Claim:
    """Patching a few consecutive layers undoes the lie."""
    windows = results.windows
    best, runs = windows.best, windows.runs["report"]
    where = "the best window" if best is None else words.layers(best)
    patched = runs.get("patched")
    widths = {int(size): entry for size, entry in results.widths.patched.items()}
    checks = [
        above(
            f"accuracy as `{base}` with z of all heads of {where} patched", patched, 0.5, WINDOWS
        ),
        above(
            f"accuracy as `{base}` with {where} patched, against the upper end of the unpatched "
            "interval",
            patched,
            runs["base"].high,
            WINDOWS,
        ),
        above(
            "accuracy of the best window minus accuracy of the median window that shares no layer "
            "with the best one",
            _best_minus_control(widths, best),
            0.0,
            WIDTHS,
        ),
    ]
    notes = [
        Note(
            f"Unpatched: `{base}` {number(runs['base'])}; `{source}` {number(runs['source'])}.",
            WINDOWS,
        ),
        *_as_accurate(windows),
        Note("The paper: five of 80 layers of LLaMA-2-70b-chat, 19 to 23."),
    ]
    return Claim(
        "Does patching a few consecutive layers undo the lie?",
        f"z of a few consecutive layers, patched from `{source}` into `{base}`, brings the right "
        "answers back.",
        checks,
        ("windows.png", "widths.png"),
        notes=notes,
        tables=[_best_by_size(widths)],
    )


def _as_accurate(windows: WindowsMetrics) -> list[Note]:
    """Name the windows that are as accurate as the best one where it was chosen."""
    if windows.best is None or not windows.as_accurate:
        return []
    size = len(windows.best.layers)
    others = ", ".join(
        f"{words.layers(Window(int(first), int(first) + size - 1))} ({words.plain(p_correct)})"
        for first, p_correct in windows.as_accurate.items()
    )
    highest = words.plain(windows.runs["selection"]["patched"].p_correct)
    return [
        Note(
            f"On the selection split, {words.layers(windows.best)} have the highest mean "
            f"P(correct), {highest}. Other windows have the same accuracy there, and no higher "
            f"mean P(correct): {others}.",
            WINDOWS,
        )
    ]


def _best_minus_control(widths: dict[int, Size], best: Window | None) -> Interval | None:
    """Return the accuracy of the best window minus its control, for the size nearest to `best`."""
    if not widths or best is None:
        return None
    n_layers = len(best.layers)
    size = min(widths, key=lambda size: (abs(size - n_layers), size))
    difference = widths[size].difference.get("best - control")
    return difference.accuracy if difference else None


def _best_by_size(widths: dict[int, Size]) -> Table:
    """Tabulate the accuracy with the best window of each size patched."""
    rows: list[tuple[str, ...]] = [
        (words.plural(size, "layer"), words.layers(of.best), number(of.best.report[ALL]))
        for size, of in sorted(widths.items())
    ]
    title = "Best window of each size (highest P(correct) on the selection split)"
    return Table(title, ("size", "window", "accuracy"), rows, WIDTHS)
