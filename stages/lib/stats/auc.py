"""Areas under curves of recovered p_correct against the number of heads, with intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.stats import Interval, bootstrap

MEASURES = ("auc", "distance", "auc_log")
Floats = NDArray[np.float64]
Areas = dict[str, Interval]
"""By measure of `measures`."""
Scores = dict[str, dict[str, Areas]]  # by rule, then ``value`` or ``difference``


def measures(recovered: Floats, sizes: Sequence[float]) -> dict[str, Floats]:
    """Reduce each curve to one number, in three ways.

    Parameters
    ----------
    recovered : ndarray of shape (..., n_sizes), float64
        f(k): gain in p_correct as a fraction of the gain with all heads patched, with k heads
        patched (up), or with all heads but these k patched (down).
    sizes : sequence of float
        k of each point, ascending: 0, 1, and so on to all n heads of the model; or these numbers
        as fractions of n.

    Returns
    -------
    dict of str to ndarray of shape (...)
        ``auc``: integral of f over k / n, from no head to all n, by the trapezoid rule between
        the sizes that were run. ``distance``: the same integral of abs(1 - f). ``auc_log``:
        integral of f over log k from one head to all, divided by log n. Every doubling of the set
        has equal weight in ``auc_log``, so it distinguishes rules that all need few of many heads.

    References
    ----------
    A. Mueller and others, MIB: A Mechanistic Interpretability Benchmark, arXiv:2504.13151: CPR is
    ``auc``, CMD is ``distance``, with the trapezoid rule on a linear axis between 0.001, 0.002,
    0.005, … 1 of all edges or nodes. Here the units are heads, p_correct replaces the logit
    difference, the smallest fraction is 0, and the sizes are those of params.yaml. The benchmark's
    code can also integrate over the logarithm, without the division.
    """
    n = sizes[-1]
    share = np.array(sizes) / n
    by_name: dict[str, Floats] = {
        "auc": np.asarray(np.trapezoid(recovered, share, axis=-1)),
        "distance": np.asarray(np.trapezoid(np.abs(1 - recovered), share, axis=-1)),
        "auc_log": recovered[..., -1],  # for a model with one head
    }
    if n > 1:
        by_log = np.trapezoid(recovered[..., 1:], np.log(sizes[1:]), axis=-1)
        by_name["auc_log"] = np.asarray(by_log / np.log(n))
    return by_name


def score(
    curves: dict[str, Floats],
    p_none: Floats,
    p_all: Floats,
    subject: NDArray[Any],
    sizes: list[int],
    baseline: str,
    seed: int = 0,
) -> Scores:
    """Areas of several curves, and their differences from the area of a baseline.

    Parameters
    ----------
    curves : dict of str to ndarray of shape (n_orders, n_sizes, n_statements), float64
        p_correct of each run of each rule; several orders of one rule are averaged.
    p_none, p_all : ndarray of shape (n_statements,), float64
        p_correct with no head and with all heads patched.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    sizes : list of int
        As in `measures`.
    baseline : str
        Rule whose area is subtracted.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict
        By rule, then ``value`` or ``difference`` (not for `baseline`), then measure. Intervals are
        from 2,000 bootstrap draws of subjects, the same for all rules and sizes, so that
        differences are paired. In each draw, f is divided by the gain of that draw; draws without a
        gain are left out. Values are None where patching all heads gains nothing for sure: there
        are fewer than six subjects, or the interval of the gain reaches 0.
    """
    effect = stats.mean_difference(p_all - p_none, subject, seed)
    if effect.low is None or effect.low <= 0:
        no_areas: Areas = dict.fromkeys(MEASURES, Interval(None, None, None, effect.n))
        return {
            rule: {"value": no_areas}
            if rule == baseline
            else {"value": no_areas, "difference": no_areas}
            for rule in curves
        }
    means: dict[str, dict[str, Floats]] = {}
    drawn: dict[str, dict[str, Floats]] = {}
    for rule, p_correct in curves.items():
        rows = np.stack([p_none, p_all, *p_correct.reshape(-1, len(subject))])
        draws = bootstrap.means(rows, subject, np.random.default_rng(seed))  # equal seed: paired
        means[rule] = _of_orders(rows.mean(axis=1)[None], p_correct.shape[:2], sizes)
        drawn[rule] = _of_orders(draws[draws[:, 1] > draws[:, 0]], p_correct.shape[:2], sizes)

    def intervals(rule: str, minus: str | None = None) -> Areas:
        result: Areas = {}
        for name in MEASURES:
            value, draws = means[rule][name][0], drawn[rule][name]
            if minus:
                value, draws = value - means[minus][name][0], draws - drawn[minus][name]
            result[name] = bootstrap.interval(value, draws, subject)
        return result

    scores: Scores = {rule: {"value": intervals(rule)} for rule in curves}
    if baseline in curves:
        for rule in scores.keys() - {baseline}:
            scores[rule]["difference"] = intervals(rule, baseline)
    return scores


def _of_orders(means: Floats, shape: tuple[int, ...], sizes: list[int]) -> dict[str, Floats]:
    """Measures of each draw, averaged over orders; columns 0 and 1 are no head and all heads."""
    low, high = means[:, :1], means[:, 1:2]
    recovered = ((means[:, 2:] - low) / (high - low)).reshape(len(means), *shape)
    return {name: values.mean(axis=1) for name, values in measures(recovered, sizes).items()}
