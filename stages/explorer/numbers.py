"""Numbers for the page: few digits, null where nothing was measured."""

import numpy as np

DIGITS = 3
EXACT = 17  # significant digits that tell any two floats apart
PERCENT = 100


def short(values: np.ndarray, digits: int = DIGITS) -> list:
    """Convert an array to nested lists, with three significant digits, and None if not finite."""
    if values.ndim > 1:
        return [short(value, digits) for value in values]
    return [_short(float(value), digits) for value in values]


def answers(p: np.ndarray) -> list:
    """Convert P(true) and P(false), (..., 2), like `short`; all digits where three make a tie."""
    if p.ndim > 1:
        return [answers(pair) for pair in p]
    rounded = short(p)
    return short(p, EXACT) if rounded[0] == rounded[1] else rounded


def _short(value: float, digits: int) -> float | int | None:
    """Round one number; an integer has no decimal point."""
    if not np.isfinite(value):
        return None
    rounded = float(f"{value:.{digits}g}")
    return int(rounded) if rounded.is_integer() else rounded


def percents(weights: np.ndarray) -> list[int]:
    """List weights, (n_tokens,), as token index and per cent in turn; below 0.5 % left out."""
    rounded = np.rint(weights * PERCENT).astype(int)
    return [int(x) for place in np.flatnonzero(rounded) for x in (place, rounded[place])]
