"""Gain of patches in log-odds of the right answer, statement by statement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import Interval, ratios

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Advantage:
    """The gap between two runs in log-odds of the right answer, which patches may recover.

    Attributes
    ----------
    about : PromptPairs
        The statements.
    base : ndarray of shape (n_statements,)
        Log-odds of the right answer in the base run, in nats.
    gap : ndarray of shape (n_statements,)
        Log-odds of the right answer in the other run (such as the source run), minus `base`, in
        nats.
    """

    about: PromptPairs
    base: Values
    gap: Values

    @property
    def interval(self) -> Interval:
        """Interval of the mean gap."""
        return stats.mean_difference(self.gap, self.about.subject)

    def only(self, statement_ids: pl.Series) -> "Advantage":
        """Keep some of the statements."""
        mask = self.about.table["statement_id"].is_in(statement_ids.unique().implode()).to_numpy()
        return Advantage(self.about.only(statement_ids), self.base[mask], self.gap[mask])

    def recovered(self, gained: Values) -> list[Interval]:
        """Mean gain of each run, (n_runs, n_statements), as a fraction of the mean gap.

        As in `ratios.recovered`: `NOTHING` where the gap is not clearly apart from 0. The gap is
        below 0 where the lying run is patched into the honest run.
        """
        sign = np.sign(self.gap.sum())
        return ratios.recovered(sign * gained, sign * self.gap, self.about.subject)


def advantage(runs: pl.DataFrame, about: PromptPairs, source: str, base: str) -> Advantage:
    """Compare the unpatched runs of two personas.

    Parameters
    ----------
    runs : DataFrame
        With the unpatched runs of these statements.
    about : PromptPairs
        The statements.
    source, base : str
        Personas; `base` is the one whose runs are patched.
    """
    high, low = (
        patched_runs.log_odds(runs, about, patch_id=patched_runs.UNPATCHED, base=name)
        for name in (source, base)
    )
    return Advantage(about, low, high - low)


@dataclass(frozen=True)
class Effect:
    """Gain of a patched run in log-odds of the right answer.

    Attributes
    ----------
    name : dict
        Values of the columns that identify the run.
    about : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2)
        P(true) and P(false).
    log_odds : ndarray of shape (n_statements,)
        Log-odds of the right answer minus those of the base run, in nats.
    recovered : Interval
        Mean of `log_odds` as a fraction of the mean gap.
    """

    name: Row
    about: PromptPairs
    probabilities: NDArray[Any]
    log_odds: Values
    recovered: Interval


def effects(runs: pl.DataFrame, reference: Advantage, names: list[str]) -> list[Effect]:
    """Measure patched runs over the same statements.

    Parameters
    ----------
    runs : DataFrame
        Patched runs.
    reference : Advantage
        Gap on these statements, and perhaps on further ones.
    names : list of str
        Columns that identify a run.

    Returns
    -------
    list of Effect
        One per run, sorted by `names`.
    """
    if runs.is_empty():
        return []
    matching_advantage = reference.only(runs["statement_id"])
    run_groups = [*runs.sort(*names, "statement_id").group_by(names, maintain_order=True)]
    p = [patched_runs.probabilities_of(rows) for _, rows in run_groups]
    gained = patch.log_odds(np.stack(p), matching_advantage.about.label) - matching_advantage.base
    shares = matching_advantage.recovered(gained)
    return [
        Effect(
            dict(zip(names, values, strict=True)),
            matching_advantage.about,
            p[i],
            gained[i],
            shares[i],
        )
        for i, (values, _) in enumerate(run_groups)
    ]


def head_effects(runs: pl.DataFrame, reference: Advantage) -> list[Effect]:
    """Measure each head patched alone at one place of the prompt.

    Parameters
    ----------
    runs : DataFrame
        Patched runs, with the columns `layer`, `block` and `head`; runs without a head are dropped.
    reference : Advantage
        As in `effects`.

    Returns
    -------
    list of Effect
        By layer and place, each over the statements that have the place; then by head.
    """
    cells = runs.filter(pl.col("head").is_not_null()).group_by(
        "layer", "block", maintain_order=True
    )
    return [
        effect
        for _, cell in cells
        for effect in effects(cell, reference, ["layer", "block", "head"])
    ]
