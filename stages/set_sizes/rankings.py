"""Orders of all heads of a model, the most important head first, by several rules."""

from collections.abc import Mapping

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import head_effects, patch
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

Effects = Mapping[Head, float]
"""One number per head, rounded to 6 digits: rounding errors do not decide the order of heads."""


def effects(runs: pl.DataFrame, pairs: PromptPairs, measure: str) -> Effects:
    """Return the mean p_correct gained with each head alone, or lost with each head left out.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `patched_runs.SCHEMA`.
    pairs : PromptPairs
        The statements of the runs.
    measure : str
        ``alone`` or ``left_out``; see `head_effects.pairs`.

    Returns
    -------
    dict of Head to float
        Empty where there is no statement.
    """
    return {
        head: tables.rounded(_effect(present, absent, pairs.label))
        for head, present, absent in head_effects.pairs(runs, measure)
    }


def log_odds_effects(table: pl.DataFrame) -> tuple[Effects, Effects]:
    """Return the mean effect of patching each head on the log-odds, estimated and true.

    Parameters
    ----------
    table : DataFrame
        With the columns of `head_effects.EFFECTS`.

    Returns
    -------
    tuple of dict of Head to float
        Estimated and true effects, in nats. Empty where there is no statement.
    """
    ordered = table.sort("statement_id", "layer", "head")
    n = table["statement_id"].n_unique()
    if not n:
        return {}, {}
    heads = [Head(*row) for row in ordered.select("layer", "head").head(len(table) // n).rows()]
    estimated, true = (
        ordered[name].to_numpy().reshape(n, -1).mean(axis=0) for name in ("estimate", "effect")
    )
    return _by_head(heads, estimated), _by_head(heads, true)


def by(values: Effects) -> list[Head]:
    """Sort heads by falling value, and heads of equal value by layer and head."""
    return sorted(values, key=lambda head: (-values[head], head))


def continued(first: list[Head], rest: list[Head]) -> list[Head]:
    """Return the heads of `first` in their order, then all other heads in the order of `rest`."""
    return [*first, *(head for head in rest if head not in set(first))]


def from_tables(
    estimates: Effects, log_odds: Effects, effects: Effects, left_out: Effects
) -> dict[str, list[Head]]:
    """Rank heads by the effects that other stages measured on the selection split.

    Parameters
    ----------
    estimates, log_odds : dict of Head to float
        From `log_odds_effects`.
    effects : dict of Head to float
        From `effects`: every head of the model patched alone.
    left_out : dict of Head to float
        From `effects`: every head of the best window left out; empty where there is no best window.

    Returns
    -------
    dict of str to list of Head
        ``estimate``: all heads by estimated effect. ``verified``: the tenth of the heads with the
        highest estimates, by true effect on p_correct, then the other heads by estimate; this
        order is affordable where patching every head is not. ``verified_absolute``: as
        ``verified``, with the tenth of the heads with the largest absolute estimates, as the sign
        of a gradient may be wrong. ``single``: all heads by true effect on p_correct, each patched
        alone. ``single_log_odds``: all heads by true effect on the log-odds of the right answer.
        ``left_out``: the heads of the best window by the p_correct that is lost without each, then
        the other heads as in ``single``. Rules whose effects were not measured are left out.
    """
    estimate, single, of_window = by(estimates), by(effects), by(left_out)
    sizes = {head: abs(value) for head, value in estimates.items()}
    top, top_size = (ranking[: patch.n_top(len(ranking))] for ranking in (estimate, by(sizes)))
    orders = {
        "estimate": estimate,
        "verified": continued([head for head in single if head in top], estimate),
        "verified_absolute": continued([head for head in single if head in top_size], estimate),
        "single": single,
        "single_log_odds": by(log_odds),
        "left_out": continued(of_window, single) if of_window else [],
    }
    return {rule: order for rule, order in orders.items() if len(order) == len(effects) > 0}


def random(n_layers: int, n_heads: int, n_orders: int, seed: int) -> list[list[Head]]:
    """Draw random orders of all heads, as a control."""
    generator = np.random.default_rng(seed)
    places = [generator.permutation(n_layers * n_heads) for _ in range(n_orders)]
    return [[Head(*map(int, divmod(i, n_heads))) for i in order] for order in places]


def _by_head(heads: list[Head], values: np.ndarray) -> Effects:
    """Return the rounded value of each head."""
    return {head: tables.rounded(value) for head, value in zip(heads, values, strict=True)}


def _effect(present: np.ndarray, absent: np.ndarray, label: np.ndarray) -> float:
    """Return the mean p_correct of one run minus the mean p_correct of another."""
    return float((patch.p_correct(present, label) - patch.p_correct(absent, label)).mean())
