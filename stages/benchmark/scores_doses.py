"""Stability of the top heads, and the dose from which on a method finds the changed heads."""

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.benchmark.metrics import Detection, Stability
from stages.benchmark.schema import first
from stages.lib import stats
from stages.lib.stats import Interval, bootstrap, ranking

Values = NDArray[np.float64]
FALSE_ALARMS = 0.05
HALF = 0.5
DRAWS = 200


def shape(scored: pl.DataFrame) -> tuple[int, int]:
    """Return the numbers of layers and of heads per layer."""
    layer, head = (int(scored[name].max() or 0) + 1 for name in ("layer", "head"))  # pyright: ignore[reportArgumentType]
    return layer, head


def order(scored: pl.DataFrame, shape: tuple[int, ...]) -> Values:
    """Return the mean score of each head, of one method at one dose: (n_layers, n_heads)."""
    means = scored.group_by("layer", "head").agg(pl.col("score").cast(pl.Float64).mean())
    grid = np.zeros(shape)
    layer, head, score = (means[name].to_numpy() for name in ("layer", "head", "score"))
    grid[layer, head] = score
    return grid


def stability(scored: pl.DataFrame, n_heads: int, seed: int) -> dict[str, Stability]:
    """Measure how much the top heads change when subjects are resampled.

    Parameters
    ----------
    scored : DataFrame
        With the columns of `SCORES`, and ``subject``.
    n_heads : int
        Heads per set.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict of str to Stability
        By method.

    References
    ----------
    arXiv:2510.00845 (a set is called stable at a Jaccard index above 0.8).
    """
    result: dict[str, Stability] = {}
    for method in scored["method"].unique(maintain_order=True):
        rows = scored.filter(method=method).sort("subject", "statement_id", "layer", "head")
        subjects = rows.filter(layer=0, head=0)["subject"].to_numpy()
        scores = rows["score"].to_numpy().reshape(len(subjects), -1)
        weights = bootstrap.weights(subjects, np.random.default_rng(seed))[:DRAWS]
        full_set = first(scores.mean(axis=0), n_heads)
        drawn_sets = (first(drawn @ scores, n_heads) for drawn in weights)
        overlaps = [float(ranking.jaccard(drawn_set, full_set)) for drawn_set in drawn_sets]
        ends = stats.percentiles(overlaps)
        mean = Interval(float(np.mean(overlaps)), *ends, len(subjects))
        result[method] = Stability(mean, n_heads)
    return result


def detections(scored: pl.DataFrame, lying: NDArray[np.bool_]) -> dict[str, Detection]:
    """Find the dose from which on each method finds the changed heads, at 5 % false alarms.

    Parameters
    ----------
    scored : DataFrame
        With the columns of `SCORES`, at dose 0 and others.
    lying : ndarray of shape (n_layers, n_heads), bool
        Heads whose weights the adapter changes.

    Returns
    -------
    dict of str to Detection
        By method, for methods that were run at dose 0.
    """
    doses = sorted(scored["dose"].unique().to_list())
    result: dict[str, Detection] = {}
    for method in scored.filter(dose=0.0)["method"].unique(maintain_order=True).sort():
        grids = {d: order(scored.filter(method=method, dose=d), lying.shape) for d in doses}
        threshold = float(np.quantile(grids[0.0], 1 - FALSE_ALARMS))
        detected = {d: float((grid[lying] > threshold).mean()) for d, grid in grids.items()}
        lasting_doses = [
            d for d in doses if all(detected[later] >= HALF for later in doses if later >= d)
        ]
        result[method] = Detection(
            threshold=threshold,
            detected={str(d): value for d, value in detected.items()},
            false_alarms={str(d): float((g[~lying] > threshold).mean()) for d, g in grids.items()},
            auroc={str(d): _area(lying, g) for d, g in grids.items()},
            smallest=min(lasting_doses, default=None),
        )
    return result


def _area(lying: NDArray[np.bool_], grid: Values) -> float:
    """AUROC of one method's scores."""
    return float(ranking.area(lying.ravel(), grid.ravel()))
