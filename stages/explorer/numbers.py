"""Numbers for the page: few digits, null where nothing was measured."""

import numpy as np

DIGITS = 3
PERCENT = 100


def short(values: np.ndarray) -> list:
    """Nested lists of numbers with three significant digits; None for what is no number."""
    if values.ndim > 1:
        return [short(value) for value in values]
    return [_short(float(value)) for value in values]


def _short(value: float) -> float | int | None:
    """One number; a whole one without a point."""
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def percents(weights: np.ndarray) -> list[int]:
    """Weights, (n_tokens,), as place and per cent in turn; those below half a per cent left out."""
    rounded = np.rint(weights * PERCENT).astype(int)
    return [int(x) for place in np.flatnonzero(rounded) for x in (place, rounded[place])]
