"""Orders of all heads of a model, the most important first, by several rules."""

from typing import Any

import numpy as np
import polars as pl

from stages.lib.io import tables
from stages.lib.patching import head_effects, patch
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

Rows = list[dict[str, Any]]


def effects(runs: pl.DataFrame, pairs: PromptPairs, measure: str) -> Rows:
    """Mean p_correct gained with each head alone, or lost with the head left out.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `patched_runs.SCHEMA`.
    pairs : PromptPairs
        The statements of the runs.
    measure : str
        ``alone`` or ``left_out``; see `single_heads.pairs`.

    Returns
    -------
    list of dict
        One row per head: layer, head, ``effect``, of 6 significant digits. Heads whose effects
        differ by rounding errors alone are equal, and their order does not hang on these.
    """
    return [
        {**head._asdict(), "effect": tables.rounded(_effect(present, absent, pairs.label))}
        for head, present, absent in head_effects.pairs(runs, measure)
    ]


def estimated(table: pl.DataFrame) -> Rows:
    """Mean effects of each head's patch on log-odds, estimated and true.

    Parameters
    ----------
    table : DataFrame
        With the columns of `single_heads.EFFECTS`.

    Returns
    -------
    list of dict
        One row per head: layer, head, ``estimate`` and ``effect``, in nats, of 6 significant
        digits as in `single_heads`. Empty where there is no statement.
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
    """Sort heads by falling value of a column; equal ones by layer and head.

    Parameters
    ----------
    rows : list of dict
        Of a plot table, one row per head, with the columns `layer` and `head`.
    column : str
        What they are sorted by.

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
    """Some heads in their order, then the others in the order of `rest`."""
    return [*first, *(head for head in rest if head not in set(first))]


def from_tables(estimates: Rows, effects: Rows, left_out: Rows) -> dict[str, list[Head]]:
    """Rank heads by what other stages measured on the selection split.

    Parameters
    ----------
    estimates : list of dict
        Rows of plots/attribution_patching/attribution_patching.json.
    effects : list of dict
        Every head of the model alone, from `single_heads`.
    left_out : list of dict
        Every head of the best window left out, from `single_heads`; empty where there is no best
        window.

    Returns
    -------
    dict of str to list of Head
        ``estimate``: all heads by estimated effect. ``verified``: the top tenth of these by their
        true effect on p_correct, then the others by estimate: what is left to a user who cannot
        patch every head. ``verified_absolute``: the same for the top tenth by size of the estimate,
        as a gradient may have the sign wrong. ``single``: all by true effect on p_correct, each
        patched alone; ``single_log_odds``: by true effect on the log-odds of the right answer.
        ``left_out``: the heads of the best window by the p_correct that is lost without them, then
        the others as in ``single``. A rule whose numbers were not measured is not there.
    """
    estimate, single = by(estimates, "estimate"), by(effects, "effect")
    of_window = by(left_out, "effect")
    sizes = [{**row, "size": abs(row["estimate"])} for row in estimates]
    top, top_size = (some[: patch.n_top(len(some))] for some in (estimate, by(sizes, "size")))
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
    """Random orders of all heads, as control."""
    generator = np.random.default_rng(seed)
    places = [generator.permutation(n_layers * n_heads) for _ in range(n_orders)]
    return [[Head(*map(int, divmod(i, n_heads))) for i in order] for order in places]


def _effect(present: np.ndarray, absent: np.ndarray, label: np.ndarray) -> float:
    """Mean p_correct of one run above that of another."""
    return float((patch.p_correct(present, label) - patch.p_correct(absent, label)).mean())
