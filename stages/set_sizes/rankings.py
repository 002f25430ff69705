"""Orders of all heads of a model, the most important head first, by several rules."""

from typing import Any

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import head_effects, patch
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

Rows = list[dict[str, Any]]


def effects(runs: pl.DataFrame, pairs: PromptPairs, measure: str) -> Rows:
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
    list of dict
        One row per head: layer, head, and ``effect``, rounded to 6 significant digits, so that
        rounding errors do not decide the order of heads.
    """
    return [
        {**head._asdict(), "effect": tables.rounded(_effect(present, absent, pairs.label))}
        for head, present, absent in head_effects.pairs(runs, measure)
    ]


def log_odds_effects(table: pl.DataFrame) -> Rows:
    """Return the mean effect of patching each head on the log-odds, estimated and true.

    Parameters
    ----------
    table : DataFrame
        With the columns of `head_effects.EFFECTS`.

    Returns
    -------
    list of dict
        One row per head: layer, head, ``estimate`` and ``effect``, in nats, rounded to 6
        significant digits as in `effects`. Empty where there is no statement.
    """
    ordered = table.sort("statement_id", "layer", "head")
    n = table["statement_id"].n_unique()
    if not n:
        return []
    means = {
        name: ordered[name].to_numpy().reshape(n, -1).mean(axis=0)
        for name in ("estimate", "effect")
    }
    places = ordered.select("layer", "head").head(len(table) // n).to_dicts()
    return [
        {**place, **{name: tables.rounded(column[i]) for name, column in means.items()}}
        for i, place in enumerate(places)
    ]


def by(rows: Rows, column: str) -> list[Head]:
    """Sort heads by falling value of a column, and heads of equal value by layer and head.

    Parameters
    ----------
    rows : list of dict
        Rows of a plot table, one per head, with the columns `layer` and `head`.
    column : str
        Name of the column to sort by.

    Returns
    -------
    list of Head
        Empty where the column was not measured.
    """
    if any(row[column] is None for row in rows):
        return []
    places = sorted((-row[column], row["layer"], row["head"]) for row in rows)
    return [Head(layer, head) for _, layer, head in places]


def continued(first: list[Head], rest: list[Head]) -> list[Head]:
    """Return the heads of `first` in their order, then all other heads in the order of `rest`."""
    return [*first, *(head for head in rest if head not in set(first))]


def from_tables(estimates: Rows, effects: Rows, left_out: Rows) -> dict[str, list[Head]]:
    """Rank heads by the effects that other stages measured on the selection split.

    Parameters
    ----------
    estimates : list of dict
        Rows of plots/attribution_patching/attribution_patching.json.
    effects : list of dict
        From `effects`: every head of the model patched alone.
    left_out : list of dict
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
    estimate, single = by(estimates, "estimate"), by(effects, "effect")
    of_window = by(left_out, "effect")
    sizes = [{**row, "size": abs(row["estimate"])} for row in estimates]
    top, top_size = (
        ranking[: patch.n_top(len(ranking))] for ranking in (estimate, by(sizes, "size"))
    )
    orders = {
        "estimate": estimate,
        "verified": continued([head for head in single if head in top], estimate),
        "verified_absolute": continued([head for head in single if head in top_size], estimate),
        "single": single,
        "single_log_odds": by(estimates, "effect"),
        "left_out": continued(of_window, single) if of_window else [],
    }
    return {rule: order for rule, order in orders.items() if len(order) == len(effects) > 0}


def random(n_layers: int, n_heads: int, n_orders: int, seed: int) -> list[list[Head]]:
    """Draw random orders of all heads, as a control."""
    generator = np.random.default_rng(seed)
    places = [generator.permutation(n_layers * n_heads) for _ in range(n_orders)]
    return [[Head(*map(int, divmod(i, n_heads))) for i in order] for order in places]


def _effect(present: np.ndarray, absent: np.ndarray, label: np.ndarray) -> float:
    """Return the mean p_correct of one run minus the mean p_correct of another."""
    return float((patch.p_correct(present, label) - patch.p_correct(absent, label)).mean())
