"""Scores of `estimates`: how well attribution patching foretells what each head's patch does.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.stats import rankdata

from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching import patch, patched_runs, single_heads
from stages.lib.patching.config import PatchConfig
from stages.lib.stats import resample


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes estimates.json (one row per head) into this folder"],
) -> None:
    """Compare estimated with true effects."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, single_heads.EFFECTS, pairs)
    estimated, true = effects(table)
    found = score(estimated, true, about.subject)
    tables.write_json(metrics, {"source": config.source, "base": config.base, **found})
    tables.write_rows(plots / "estimates.json", points(estimated, true, about.subject))


def effects(table: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Estimated and true effects: each (n_statements, n_layers, n_heads), in nats."""
    columns = ("statement_id", "layer", "head")
    shape = [table[name].n_unique() for name in columns]
    ordered = table.sort(columns)
    estimate, effect = (ordered[name].to_numpy().reshape(shape) for name in ("estimate", "effect"))
    return estimate, effect


def score(
    estimated: NDArray[np.float64], true: NDArray[np.float64], subject: NDArray[Any], seed: int = 0
) -> dict[str, Any]:
    """Compare the order of heads by their mean estimated and by their mean true effect.

    Parameters
    ----------
    estimated, true : ndarray of shape (n_statements, n_layers, n_heads)
        In nats.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    seed : int
        Of the bootstrap's draws.

    Returns
    -------
    dict
        ``rank_correlation``, Spearman's; ``top``: the share of the top tenth by true effect that is
        in the top tenth by estimate, with the share ``by_chance``. Intervals draw subjects, both
        means from the same draw: draws add noise to both orders, so that they lean to low values.
        Nulls where there is no statement.

    References
    ----------
    A. Syed, C. Rager, A. Conmy, Attribution patching outperforms automated circuit discovery,
    arXiv:2310.10348. J. Kramar and others, AtP*, arXiv:2403.00745 (where estimates go wrong).
    """
    n, n_all = len(estimated), int(np.prod(estimated.shape[1:]))
    at_top = patch.n_top(n_all)
    both = [np.reshape(x, (n, n_all)) for x in (estimated, true)]
    found = {"rank_correlation": stats.NOTHING.row(), "top": stats.NOTHING.row()}
    if n:
        value = [x.mean(axis=0)[None] for x in both]
        draws = [resample.means(x.T, subject, np.random.default_rng(seed)) for x in both]
        n_subjects = len(np.unique(subject))
        for name, measure in (("rank_correlation", _spearman), ("top", _shared(at_top))):
            low, high = stats.bootstrapped(measure(*draws), n_subjects)
            found[name] = stats.Interval(float(measure(*value)[0]), low, high, n).row()
    top = {"n_heads": at_top, "by_chance": at_top / n_all if n_all else None}
    return {**found, "top": {**found["top"], **top}, "n_heads": n_all}


def points(
    estimated: NDArray[np.float64], true: NDArray[np.float64], subject: NDArray[Any], seed: int = 0
) -> list[dict[str, Any]]:
    """One row a head: its mean estimated and its mean true effect, in nats, with intervals.

    Parameters as in `score`.
    """
    n, n_layers, n_heads = estimated.shape
    if n == 0:
        return []
    columns: dict[str, NDArray[np.float64]] = {}
    for name, x in (("estimate", estimated), ("effect", true)):
        effects = x.reshape(n, -1)
        drawn = resample.means(effects.T, subject, np.random.default_rng(seed))
        ends = [stats.bootstrapped(draws, len(np.unique(subject))) for draws in drawn.T]
        columns |= {name: effects.mean(axis=0)}
        columns |= {f"{name}_{end}": np.array(ends)[:, i] for i, end in enumerate(("low", "high"))}
    places = [(i, j) for i in range(n_layers) for j in range(n_heads)]
    return [
        {"layer": i, "head": j, "n": n} | {name: column[row] for name, column in columns.items()}
        for row, (i, j) in enumerate(places)
    ]


def _spearman(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank correlation of each row of `a` with that of `b`; 0 where all of a row are equal."""
    a, b = (rankdata(x, axis=1) - (x.shape[1] + 1) / 2 for x in (a, b))
    spread = np.sqrt((a * a).sum(axis=1) * (b * b).sum(axis=1))
    return np.divide((a * b).sum(axis=1), spread, out=np.zeros(len(a)), where=spread > 0)


def _shared(n: int) -> Any:
    """Make the measure: share of the `n` largest of each row of `b` that are so in `a`."""

    def share(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
        tops = [np.argsort(-x, axis=1, kind="stable")[:, :n] for x in (a, b)]
        return np.array([len(np.intersect1d(*pair)) / n for pair in zip(*tops, strict=True)])

    return share


if __name__ == "__main__":
    cli.run(main)
