"""Scores of `attribution_patching`: agreement of estimated and true effects of heads.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from stages.attribution_patching.metrics import LEAST, AttributionPatchingMetrics, Top
from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import head_effects, patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval, bootstrap, run_points


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes attribution_patching.json (one row per head) into this folder"],
) -> None:
    """Compare estimated with true effects."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, head_effects.EFFECTS, pairs)
    estimated, true = effects(table)
    records.write(metrics, score(estimated, true, about.subject, config))
    tables.write_rows(plots / "attribution_patching.json", points(estimated, true, about.subject))


def effects(table: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Read estimated and true effects: each (n_statements, n_layers, n_heads), in nats."""
    columns = ("statement_id", "layer", "head")
    shape = [table[name].n_unique() for name in columns]
    ordered = table.sort(columns)
    estimate, effect = (ordered[name].to_numpy().reshape(shape) for name in ("estimate", "effect"))
    return estimate, effect


def score(
    estimated: NDArray[np.float64],
    true: NDArray[np.float64],
    subject: NDArray[Any],
    config: PatchConfig,
    seed: int = 0,
) -> AttributionPatchingMetrics:
    """Compare the orders of heads by mean estimated and by mean true effect.

    Parameters
    ----------
    estimated, true : ndarray of shape (n_statements, n_layers, n_heads)
        Effects in nats.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    config : PatchConfig
        Section `patch`.
    seed : int
        Seed of the bootstrap.

    Returns
    -------
    AttributionPatchingMetrics
        Intervals by bootstrap over subjects; both means use the same draws. The noise of a draw
        lowers the agreement, so the intervals are biased downward. Values are None without
        statements.

    References
    ----------
    A. Syed, C. Rager, A. Conmy, Attribution patching outperforms automated circuit discovery,
    arXiv:2310.10348. J. Kramar and others, AtP*, arXiv:2403.00745 (where estimates go wrong).
    """
    n, n_all = len(estimated), int(np.prod(estimated.shape[1:]))
    top_size = patch.n_top(n_all)
    flat_effects = [np.reshape(x, (n, n_all)) for x in (estimated, true)]
    correlation = overlap = stats.NOTHING
    if n:
        value = [x.mean(axis=0)[None] for x in flat_effects]
        draws = [bootstrap.means(x.T, subject, np.random.default_rng(seed)) for x in flat_effects]
        correlation, overlap = (
            bootstrap.interval(measure(*value)[0], measure(*draws), subject)
            for measure in (_spearman, _shared(top_size))
        )
    return AttributionPatchingMetrics(
        rank_correlation=correlation,
        top=Top(**vars(overlap), n_heads=top_size, by_chance=top_size / n_all if n_all else None),
        n_heads=n_all,
        wrong_sign=[
            Head(int(i) // true.shape[2], int(i) % true.shape[2])
            for i in np.flatnonzero(_wrong_sign(*flat_effects))
        ],
        source=config.source,
        base=config.base,
    )


def points(
    estimated: NDArray[np.float64], true: NDArray[np.float64], subject: NDArray[Any], seed: int = 0
) -> list[Row]:
    """Make one row per head: mean estimated and mean true effect, in nats, with intervals.

    Parameters as in `score`.
    """
    n, n_layers, n_heads = estimated.shape
    if n == 0:
        return []
    flat_effects = (estimated.reshape(n, -1), true.reshape(n, -1))
    estimates, effects = (_means(x, subject, seed) for x in flat_effects)
    is_wrong = _wrong_sign(*flat_effects)
    return [
        {
            **{"layer": layer, "head": head, "n": n},
            **run_points.beside("estimate", estimates[layer * n_heads + head]),
            **run_points.beside("effect", effects[layer * n_heads + head]),
            "wrong_sign": bool(is_wrong[layer * n_heads + head]),
        }
        for layer in range(n_layers)
        for head in range(n_heads)
    ]


def _means(effects: NDArray[np.float64], subject: NDArray[Any], seed: int) -> list[Interval]:
    """Average each column of (n_statements, n_all), with an interval by bootstrap of subjects."""
    drawn_means = bootstrap.means(effects.T, subject, np.random.default_rng(seed))
    return [
        bootstrap.interval(value, draws, subject)
        for value, draws in zip(effects.mean(axis=0), drawn_means.T, strict=True)
    ]


def _wrong_sign(estimated: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Mark heads with a large true effect and an estimate of the opposite sign: (n_all,), bool."""
    if not len(true):
        return np.zeros(true.shape[1], bool)
    estimate, effect = estimated.mean(axis=0), true.mean(axis=0)
    sizes = np.abs(effect)
    return (effect * estimate < 0) & (sizes >= LEAST * sizes.max())


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compute the rank correlation of each row of `a` with that of `b`; 0 for constant rows."""
    a, b = (rankdata(x, axis=1) - (x.shape[1] + 1) / 2 for x in (a, b))
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), spread, out=np.zeros(len(a)), where=spread > 0)


def _shared(n: int) -> Any:
    """Make a function that gives, per row, the share of `b`'s top `n` in the top `n` of `a`."""

    def share(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        tops = [np.argsort(-x, axis=1, kind="stable")[:, :n] for x in (a, b)]
        return np.array([len(np.intersect1d(*pair)) / n for pair in zip(*tops, strict=True)])

    return share


if __name__ == "__main__":
    cli.run(main)
