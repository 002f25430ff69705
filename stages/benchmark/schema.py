"""Tables of the benchmark, and its sizes of head sets."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.io.tables import Schema
from stages.lib.patching import patch

SCORES: Schema = {
    "dose": pl.Float64,
    "method": pl.String,
    "statement_id": pl.String,
    "layer": pl.Int32,
    "head": pl.Int32,
    "score": pl.Float32,
}
"""One row per dose, method and head, and per statement where a method is a mean over statements
(else `statement_id` is ``all``): the larger, the more the method points at the head."""
EVERY = "all"
CURVES: Schema = {
    "method": pl.String,
    "n_heads": pl.Int32,
    "statement_id": pl.String,
    "subject": pl.String,
    "label": pl.Boolean,
    "log_odds": pl.Float64,
}
"""One row per method, size of its head set, and statement of the report split: log-odds of the
right answer with that set patched at all positions. `method` is ``base`` or ``source`` for an
unpatched run, ``first`` for a sufficient set, and ``rival`` for one that shares no head with it."""
COSTS: Schema = {
    "method": pl.String,
    "forwards": pl.Int64,
    "backwards": pl.Int64,
    "seconds": pl.Float64,
}
"""One row per method: forward and backward passes of one prompt each, and seconds."""
TRUTH: Schema = {
    "layer": pl.Int32,
    "head": pl.Int32,
    "size": pl.Float64,
    "statement_id": pl.String,
    "subject": pl.String,
    "log_odds": pl.Float64,
}
"""One row per head whose weights the lying adapter changes, and statement of the report split: the
Frobenius norm of the change, and the liar's log-odds of the right answer without it."""
BASE, SOURCE, FIRST, RIVAL = "base", "source", "first", "rival"
SIZES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of all heads, as in MIB (arXiv:2504.13151)."""


def n_heads(share: float, n_all: int) -> int:
    """Return the number of heads that a share of all heads is, rounded; it may be 0."""
    return round(share * n_all)


def first(order: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Mark the `size` highest scores of an order, in its shape; ties go to the earlier head."""
    return patch.largest(order.ravel(), size).reshape(order.shape)
