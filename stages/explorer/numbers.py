"""Numbers for the page: few digits, null where nothing was measured."""

import numpy as np

DIGITS = 3
PERCENT = 100


def short(values: np.ndarray) -> list:
    """Convert an array to nested lists, with three significant digits, and None if not finite."""
    if values.ndim > 1:
        return [short(value) for value in values]
    return [_short(float(value)) for value in values]


def _short(value: float) -> float | int | None:
    """Round one number; an integer has no decimal point."""
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{DIGITS}g}")
    return int(rounded) if rounded.is_integer() else rounded


def percents(weights: np.ndarray) -> list[int]:
    """List weights, (n_tokens,), as token index and per cent in turn; below 0.5 % left out."""
    rounded = np.rint(weights * PERCENT).astype(int)
    return [int(x) for place in np.flatnonzero(rounded) for x in (place, rounded[place])]
