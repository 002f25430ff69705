"""Rows of the plots of `logit_attribution`: one per run and part of the model, or layer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.logit_attribution import scores_contributions as attribution
from stages.logit_attribution import scores_lens as lens
from stages.logit_attribution.scores_contributions import KINDS, RUNS, Array, Contributions, paired


def layers(
    source: Contributions, base: Contributions, subject: NDArray[Any], names: dict[str, str]
) -> list[Row]:
    """Return rows of plots/logit_attribution/layers.json: one per run, kind of sublayer and layer.

    Parameters
    ----------
    source, base : Contributions
        Parts of both runs, on the same statements.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    names : dict of str to str
        Name of each of `RUNS`.

    Returns
    -------
    list of dict
        `contribution`: mean over statements, in nats of logit(right) - logit(wrong), with interval.
    """
    rows: list[Row] = []
    for kind in KINDS:
        for run, values in paired(getattr(source, kind), getattr(base, kind)).items():
            means = zip(*attribution.means(values, subject), strict=True)
            rows += [
                {"site": kind, "run": run, "persona": names[run], "layer": i}
                | _interval("contribution", interval, len(values))
                for i, interval in enumerate(means)
            ]
    return rows


def heads(
    source: Contributions, base: Contributions, subject: NDArray[Any], names: dict[str, str]
) -> list[Row]:
    """Return rows of plots/logit_attribution/heads.json: one per run and head, as in `layers`.

    `share`, in rows of the difference, is the head's fraction of the mean total difference, source
    minus base; null where the interval of that difference contains 0.
    """
    rows: list[Row] = []
    gap = source.total - base.total
    total_gap = float(gap.mean()) if attribution.is_clear(gap, subject) else None
    for run, values in paired(source.heads, base.heads).items():
        means = np.stack(attribution.means(values, subject), axis=-1)
        for i, j in np.ndindex(means.shape[:2]):
            row = _interval("contribution", means[i, j], len(values))
            contribution = float(means[i, j, 0])
            share = contribution / total_gap if run == "difference" and total_gap else None
            where = {"measure": names[run], "run": run, "layer": i, "head": j}
            rows.append({**where, **row, "share": share})
    return rows


def lenses(
    source: Array,
    base: Array,
    label: NDArray[np.bool_],
    subject: NDArray[Any],
    names: dict[str, str],
) -> list[Row]:
    """Return rows of plots/logit_attribution/lens.json: one per run and layer.

    Parameters
    ----------
    source, base : ndarray of shape (n_statements, n_layers + 1, 2)
        Log P(true) and log P(false) of both runs.
    label, subject : ndarray of shape (n_statements,)
        Whether each statement is true, and what it is about.
    names : dict of str to str
        Name of each of `RUNS`.

    Returns
    -------
    list of dict
        `layer` i is the input of layer i; the last one is the output of the model's last layer.
        `p_correct` (mean probability of the right answer out of both) with its interval, and so
        `accuracy` and `log_odds` (nats); `answer_mass`, the mean probability of both answers
        together. Rows of the difference have no accuracy and no answer mass.
    """
    odds = paired(*(lens.log_odds(x, label) for x in (source, base)))
    p_corrects = paired(*(lens.p_correct(odds[run]) for run in RUNS[:2]))
    masses = {"source": np.exp(source).sum(-1), "base": np.exp(base).sum(-1)}
    rows: list[Row] = []
    for run in RUNS:
        numbers = {"p_correct": p_corrects[run], "log_odds": odds[run]}
        means = {name: attribution.means(x, subject) for name, x in numbers.items()}
        for i in range(source.shape[1]):
            row = {"site": "resid_post", "run": run, "persona": names[run], "layer": i}
            value = [x[i] for x in means["p_correct"]]
            row |= _interval(
                "p_correct", value, len(label), *([] if run == "difference" else [0, 1])
            )
            for end, x in zip(("", "_low", "_high"), means["log_odds"], strict=True):
                row["log_odds" + end] = float(x[i])
            rate = stats.NOTHING
            if run != "difference":
                rate = stats.rate(odds[run][:, i] > 0, subject)
            row |= {"accuracy": rate.value, "accuracy_low": rate.low, "accuracy_high": rate.high}
            mass = None if run == "difference" else float(masses[run][:, i].mean())
            rows.append({**row, "answer_mass": mass})
    return rows


def _interval(name: str, interval: Any, n: int, *bounds: float) -> dict[str, float | None]:
    """Columns of a mean with its interval, cut at bounds where there are any; null for NaN."""
    value, low, high = (float(x) for x in interval)
    if bounds:
        low, high = max(low, bounds[0]), min(high, bounds[1])
    return {name: value, "low": low, "high": high, "n": n}
