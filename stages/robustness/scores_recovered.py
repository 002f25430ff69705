"""Fraction of the lie that each head set undoes, where it was chosen and elsewhere."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib import stats
from stages.lib.patching import patch
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import Interval, ratios
from stages.robustness.head_sets import TOPIC, HeadSet
from stages.robustness.metrics import Generalisation
from stages.robustness.scores_runs import Answers

LEAST_GAP = 0.1  # of p_correct between source and base run: with less, a fraction of it is noise


def shares(
    gains: Mapping[str, ArrayLike], gap: ArrayLike, subject: NDArray, seed: int = 0
) -> dict[str, Interval]:
    """Mean gain over mean gap, with an interval that draws subjects for both at once.

    Parameters
    ----------
    gains : dict of str to array of shape (n_rows,)
        What is given as a fraction: for example p_correct of a patched run minus that of the base
        run. All of them see the same draws, so that a difference of two gains is paired.
    gap : array of shape (n_rows,)
        p_correct of the source run minus that of the base run.
    subject : ndarray of shape (n_rows,)
        What each row's statement is about; a subject may stand in many rows.
    seed : int
        Of the draws.

    Returns
    -------
    dict of str to Interval
        No value where the gap is not surely above `LEAST_GAP`: there is no lie to undo.
    """
    whole = np.asarray(gap, dtype=np.float64)
    reach = stats.difference(whole, np.zeros_like(whole), subject)
    if reach.low is None or reach.low < LEAST_GAP:
        return dict.fromkeys(gains, Interval(None, None, None, reach.n))
    splits = np.stack([np.asarray(gain, dtype=np.float64) for gain in gains.values()])
    return dict(zip(gains, ratios.ratios(splits, whole, subject, seed), strict=True))


def recovered(about: PromptPairs, runs: Answers, one: HeadSet) -> Interval:
    """Fraction of the gap in p_correct between base and source run that a set recovers."""
    gain, gap = _gains(about, runs, [one])
    return shares({"recovered": gain[0]}, gap, about.subject)["recovered"]


def generalisation(
    about: PromptPairs, given: dict[str, Answers], sets: list[HeadSet], kind: str
) -> Generalisation:
    """Fraction recovered by the set chosen where it is scored, and by sets chosen elsewhere.

    Parameters
    ----------
    about : PromptPairs
        The statements of the report split.
    given : dict of str to dict
        Runs of each wording, from `scores_runs.answers`.
    sets : list of HeadSet
        From `scores_runs.sets_of`.
    kind : str
        What the sets were chosen on: `TOPIC` or `WORDING`.
    """
    mine = [one for one in sets if one.chosen_on == kind]
    names = np.array([one.name for one in mine])
    topic = about.table["topic"].to_numpy()
    gaps, on, off, subjects = [], [], [], []
    for wording, runs in given.items():
        gain, gap = _gains(about, runs, mine)
        place = topic if kind == TOPIC else np.full(len(topic), wording)
        own = names[:, None] == place  # (n_sets, n_statements)
        kept = (own.sum(axis=0) == 1) & (len(mine) > 1)
        gain, own = gain[:, kept], own[:, kept]
        on.append((gain * own).sum(axis=0))
        off.append((gain * ~own).sum(axis=0) / max(1, len(mine) - 1))
        gaps.append(gap[kept])
        subjects.append(about.subject[kept])
    same, other = np.concatenate(on), np.concatenate(off)
    gains = {"on_diagonal": same, "off_diagonal": other, "difference": other - same}
    intervals = shares(gains, np.concatenate(gaps), np.concatenate(subjects))
    return Generalisation(**intervals, n_sets=len(mine))


def _gains(about: PromptPairs, runs: Answers, sets: list[HeadSet]) -> tuple[np.ndarray, np.ndarray]:
    """p_correct above the base run: of each set, (n_sets, n_statements), and of the source run."""
    p_correct = {key: patch.p_correct(p, about.label) for key, p in runs.items()}
    source, base = (
        p_correct[key] for role in ("source", "base") for key in p_correct if key[2] == role
    )
    gain = [p_correct[one.chosen_on, one.name, "patched"] - base for one in sets]
    return np.reshape(gain, (len(sets), len(base))), source - base
