"""Log-odds of the right answer that patches add, statement by statement."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import NOTHING, Interval
from stages.lib.stats.ratios import ratios

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Advantage:
    """What one persona's run has above another's, and both runs.

    Attributes
    ----------
    about : PromptPairs
        The statements.
    base : ndarray of shape (n_statements,)
        Log-odds of the right answer of the run that is patched.
    whole : ndarray of shape (n_statements,)
        Log-odds of the other run, minus those.
    """

    about: PromptPairs
    base: Values
    whole: Values

    @property
    def interval(self) -> Interval:
        """Mean advantage."""
        return stats.difference(self.whole, np.zeros_like(self.whole), self.about.subject)

    def only(self, statement_ids: pl.Series) -> "Advantage":
        """On some of the statements."""
        kept = self.about.table["statement_id"].is_in(statement_ids.unique().implode()).to_numpy()
        return Advantage(self.about.only(statement_ids), self.base[kept], self.whole[kept])

    def recovered(self, gained: Values) -> list[Interval]:
        """Mean of each row of (n_runs, n_statements) as a share of the advantage.

        Nothing where the advantage cannot be told from 0, as then there is nothing to recover.
        """
        low, high = self.interval.low, self.interval.high
        if low is None or high is None or low <= 0 <= high:
            return [NOTHING] * len(gained)
        return ratios(gained, self.whole, self.about.subject)


def advantage(runs: pl.DataFrame, about: PromptPairs, source: str, base: str) -> Advantage:
    """Compare both personas' own runs.

    Parameters
    ----------
    runs : DataFrame
        With the unpatched runs of these statements.
    about : PromptPairs
        The statements.
    source, base : str
        Personas.
    """
    high, low = (
        patch.log_odds(patched_runs.probabilities(runs, patch_id="none", base=name), about.label)
        for name in (source, base)
    )
    return Advantage(about, low, high - low)


@dataclass(frozen=True)
class Effect:
    """What a run gains.

    Attributes
    ----------
    name : dict
        Its columns that tell it from other runs.
    about : PromptPairs
        The statements.
    probabilities : ndarray of shape (n_statements, 2)
        P(true) and P(false).
    gained : ndarray of shape (n_statements,)
        Log-odds of the right answer above the run without a patch, in nats.
    recovered : Interval
        Their mean as a share of the advantage.
    """

    name: dict[str, Any]
    about: PromptPairs
    probabilities: NDArray[Any]
    gained: Values
    recovered: Interval


def effects(runs: pl.DataFrame, above: Advantage, names: list[str]) -> list[Effect]:
    """Measure runs that are of the same statements.

    Parameters
    ----------
    runs : DataFrame
        Patched runs.
    above : Advantage
        Of these statements, or of more of them.
    names : list of str
        Columns that tell runs apart.

    Returns
    -------
    list of Effect
        Sorted by name.
    """
    if runs.is_empty():
        return []
    mine = above.only(runs["statement_id"])
    split = [*runs.sort(*names, "statement_id").group_by(names, maintain_order=True)]
    p = [rows.select("p_true", "p_false").to_numpy() for _, rows in split]
    gained = patch.log_odds(np.stack(p), mine.about.label) - mine.base
    shares = mine.recovered(gained)
    return [
        Effect(dict(zip(names, values, strict=True)), mine.about, p[i], gained[i], shares[i])
        for i, (values, _) in enumerate(split)
    ]
