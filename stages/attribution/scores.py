"""Scores of `attribution`: what each part adds to the answer, and where two runs' answers part.

Params  patch
"""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.attribution import scores_contributions as attribution
from stages.attribution import scores_lens as lens
from stages.attribution import table
from stages.attribution.scores_contributions import Array, Contributions, Pair
from stages.attribution.table import ROLES, Split
from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.patching.config import PatchConfig

RUNS: tuple[str, ...] = ("source", "base", "difference")
TOP = 10  # heads, and sublayers, that the metrics name
KINDS = ("attention", "mlp")
Rows = list[dict[str, Any]]
Made = tuple[dict[str, Any], dict[str, Rows]]  # metrics, and rows of each plot table


def main(
    pairs: cli.Pairs,
    runs: Annotated[Path, "parts of both runs' logits (safetensors)"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes layers.json, heads.json and lens.json into this folder"],
) -> None:
    """Compare two runs on the same statements."""
    config = params.section("patch", PatchConfig)
    split = table.read(runs)
    every = tables.read(pairs, tables.PAIRS)
    about = every.filter(pl.col("statement_id").is_in(split.statement_ids))
    label, subject = about["label"].to_numpy(), about["subject"].to_numpy()
    made, points = (
        make(split, (config.source, config.base), label, subject) if split.runs else nothing()
    )
    n = len(split.statement_ids)
    head = {"source": config.source, "base": config.base, "n": n, "reason": split.reason}
    tables.write_json(metrics, head | made)
    for name, rows in points.items():
        tables.write_rows(plots / f"{name}.json", rows)


def make(
    split: Split, personas: tuple[str, str], label: NDArray[np.bool_], subject: NDArray[Any]
) -> Made:
    """Measure what the parts of both runs add to the answer.

    Parameters
    ----------
    split : Split
        Parts of both runs.
    personas : pair of str
        What the two are called.
    label, subject : ndarray of shape (n_statements,)
        Whether each statement is true, and what it is about.

    Returns
    -------
    tuple of dict and dict
        Metrics, but for the runs' names and n; rows of each plot table.
    """
    names = dict(zip(RUNS, (*personas, " - ".join(personas)), strict=True))
    source, base = (split.runs[role] for role in ROLES)
    tokens = attribution.pair([source.log_p, base.log_p], split.n_true)
    first, second = (attribution.contributions(x, tokens, label) for x in (source, base))
    lenses_of = source.lens, base.lens
    first_truth, second_truth = (lens.truth(lens.log_odds(x, label)) for x in lenses_of)
    metrics = {
        "tokens": named(tokens, split),
        "lens": {"parting": lens.parting(first_truth - second_truth, subject)},
        **summarise(first, second, subject, split.heads_error),
    }
    plots = {
        "layers": layers(first, second, subject, names),
        "heads": heads(first, second, subject, names),
        "lens": lenses(*lenses_of, label, subject, names),
    }
    return metrics, plots


def paired(source: Array, base: Array) -> dict[str, Array]:
    """Numbers of both runs, and of the source's minus the base's, statement by statement."""
    return {"source": source, "base": base, "difference": source - base}


def layers(
    source: Contributions, base: Contributions, subject: NDArray[Any], names: dict[str, str]
) -> Rows:
    """Rows of plots/attribution/layers.json: one a run, kind of sublayer and layer.

    Parameters
    ----------
    source, base : Contributions
        Of both runs, on the same statements.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    names : dict of str to str
        What each of `RUNS` is called.

    Returns
    -------
    list of dict
        `contribution`: mean over statements, in nats of logit(right) - logit(wrong), with interval.
    """
    rows = []
    for kind in KINDS:
        for run, values in paired(getattr(source, kind), getattr(base, kind)).items():
            found = zip(*attribution.means(values, subject), strict=True)
            rows += [
                {"site": kind, "run": run, "persona": names[run], "layer": i}
                | _interval("contribution", interval, len(values))
                for i, interval in enumerate(found)
            ]
    return rows


def heads(
    source: Contributions, base: Contributions, subject: NDArray[Any], names: dict[str, str]
) -> Rows:
    """Rows of plots/attribution/heads.json: one a run and head, as in `layers`.

    `share`, in rows of the difference: the head's part of what the source's mean total is above the
    base's, null where the interval of that holds 0.
    """
    rows, gap = [], source.total - base.total
    whole = float(gap.mean()) if attribution.is_clear(gap, subject) else None
    for run, values in paired(source.heads, base.heads).items():
        found = np.stack(attribution.means(values, subject), axis=-1)
        for i, j in np.ndindex(found.shape[:2]):
            row = _interval("contribution", found[i, j], len(values))
            share = row["contribution"] / whole if run == "difference" and whole else None
            where = {"measure": names[run], "run": run, "layer": i, "head": j}
            rows.append({**where, **row, "share": share})
    return rows


def lenses(
    source: Array,
    base: Array,
    label: NDArray[np.bool_],
    subject: NDArray[Any],
    names: dict[str, str],
) -> Rows:
    """Rows of plots/attribution/lens.json: one a run and layer.

    Parameters
    ----------
    source, base : ndarray of shape (n_statements, n_layers + 1, 2)
        Log P(true) and log P(false) of both runs.
    label, subject : ndarray of shape (n_statements,)
        Whether each statement is true, and what it is about.
    names : dict of str to str
        What each of `RUNS` is called.

    Returns
    -------
    list of dict
        `layer` i is what enters layer i, the last one what leaves the model's last layer. `truth`
        (mean probability of the right answer out of both) with its interval, and so `accuracy` and
        `log_odds` (nats); `truth_mass`, the mean probability of both answers together. Rows of
        the difference have no accuracy and no truth mass.
    """
    odds = paired(*(lens.log_odds(x, label) for x in (source, base)))
    truths = paired(*(lens.truth(odds[run]) for run in RUNS[:2]))
    masses = {"source": np.exp(source).sum(-1), "base": np.exp(base).sum(-1)}
    rows = []
    for run in RUNS:
        measured = {"truth": truths[run], "log_odds": odds[run]}
        found = {name: attribution.means(x, subject) for name, x in measured.items()}
        for i in range(source.shape[1]):
            row = {"site": "resid_post", "run": run, "persona": names[run], "layer": i}
            value = [x[i] for x in found["truth"]]
            row |= _interval("truth", value, len(label), *([] if run == "difference" else [0, 1]))
            for end, x in zip(("", "_low", "_high"), found["log_odds"], strict=True):
                row["log_odds" + end] = float(x[i])
            rate = stats.NOTHING
            if run != "difference":
                rate = stats.rate(odds[run][:, i] > 0, subject)
            row |= {"accuracy": rate.value, "accuracy_low": rate.low, "accuracy_high": rate.high}
            mass = None if run == "difference" else float(masses[run][:, i].mean())
            rows.append({**row, "truth_mass": mass})
    return rows


def summarise(
    source: Contributions,
    base: Contributions,
    subject: NDArray[Any],
    heads_error: float,
) -> dict[str, Any]:
    """Metrics of direct attribution.

    Parameters
    ----------
    source, base : Contributions
        Of both runs.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    heads_error : float
        Largest difference between a layer's heads and its attention, in nats.

    Returns
    -------
    dict
        ``sum``: the largest error of the parts' sum, of any statement, beside the largest part;
        ``logit_difference``, what they add up to; ``parts``, the kinds of parts; ``top``, those
        whose mean differs most between the runs. All in nats toward the right answer; ``share`` is
        the part of the difference of the two runs' totals.
    """
    whole = source.total - base.total

    def compared(of: Callable[[Contributions], Array]) -> dict[str, Any]:
        values = paired(of(source), of(base))
        share = attribution.shares(values["difference"][:, None], whole, subject)[0]
        rows = {run: attribution.mean(values[run], subject).row() for run in RUNS}
        return rows | {"share": share.row()}

    sums: dict[str, Callable[[Contributions], Array]] = {
        "embedding": lambda x: x.embedding,
        "attention": lambda x: x.attention.sum(axis=1),
        "heads": lambda x: x.heads.sum(axis=(1, 2)),
        "mlp": lambda x: x.mlp.sum(axis=1),
        "constant": lambda x: x.constant,
    }
    total = paired(source.total, base.total)
    largest = max(source.largest, base.largest)
    return {
        "sum": {
            "largest_error": max(source.error, base.error),
            "largest_heads_error": heads_error,
            "largest_part": largest,
        },
        "logit_difference": {run: attribution.mean(total[run], subject).row() for run in RUNS},
        "parts": {name: compared(of) for name, of in sums.items()},
        "top": {
            "heads": _top(source.heads - base.heads, whole, subject, lambda i, j: f"{i}.{j}"),
            "sublayers": _top(
                np.stack([getattr(source, k) - getattr(base, k) for k in KINDS], axis=2),
                whole,
                subject,
                lambda i, j: f"{KINDS[j]} {i}",
            ),
        },
    }


def nothing() -> Made:
    """What is written where nothing was measured: the same keys with nulls, and no points."""
    null = stats.NOTHING.row()
    runs = {run: null for run in RUNS}
    metrics = {
        "tokens": {"true": None, "false": None, "share": None},
        "sum": {"largest_error": None, "largest_heads_error": None, "largest_part": None},
        "logit_difference": runs,
        "parts": {
            name: runs | {"share": null}
            for name in ("embedding", "attention", "heads", "mlp", "constant")
        },
        "top": {"heads": {}, "sublayers": {}},
        "lens": {"parting": {name: {**null, "gap": None} for name in ("differs", "half")}},
    }
    return metrics, {name: [] for name in ("layers", "heads", "lens")}


def named(tokens: Pair, split: Split) -> dict[str, Any]:
    """The two tokens, by id and text."""
    both = {"true": tokens.true, "false": tokens.false}
    found = {name: {"id": split.ids[i], "text": split.texts[i]} for name, i in both.items()}
    return {**found, "share": tokens.share}


def _top(
    gap: Array, whole: Array, subject: NDArray[Any], name: Callable[[int, int], str]
) -> dict[str, Any]:
    """The parts whose mean differs most between the runs, (n_statements, n_layers, n) in all."""
    flat = gap.reshape(len(gap), -1)
    order = np.argsort(-np.abs(flat.mean(axis=0)), kind="stable")[:TOP]
    found = attribution.shares(flat[:, order], whole, subject)
    return {
        name(*divmod(int(place), gap.shape[2])): {
            "rank": rank,
            **attribution.mean(flat[:, place], subject).row(),
            "share": share.row(),
        }
        for rank, (place, share) in enumerate(zip(order, found, strict=True), start=1)
    }


def _interval(name: str, found: Any, n: int, *bounds: float) -> dict[str, Any]:
    """Columns of a mean with its interval, cut at bounds where there are any; null for NaN."""
    value, low, high = (float(x) for x in found)
    if bounds:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return {name: value, "low": low, "high": high, "n": n}


if __name__ == "__main__":
    cli.run(main)
