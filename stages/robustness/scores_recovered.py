"""Fraction of the lie that each head set undoes, where it was chosen and elsewhere."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stages.lib.patching import patch
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import Interval, ratios
from stages.robustness.head_sets import TOPIC, NamedSet
from stages.robustness.metrics import Generalisation
from stages.robustness.scores_runs import Answers

LEAST_GAP = 0.1  # in p_correct, source minus base run: a fraction of a smaller gap is noise


def shares(
    gains: Mapping[str, ArrayLike], gap: ArrayLike, subject: NDArray, seed: int = 0
) -> dict[str, Interval]:
    """Return mean gain / mean gap, with an interval that draws subjects for both at once.

    Parameters
    ----------
    gains : dict of str to array of shape (n_rows,)
        The numerators: for example p_correct of a patched run minus that of the base run. All of
        them use the same draws, so that a difference of two gains is paired.
    gap : array of shape (n_rows,)
        p_correct of the source run minus that of the base run.
    subject : ndarray of shape (n_rows,)
        What each row's statement is about; a subject may stand in many rows.
    seed : int
        Seed of the draws.

    Returns
    -------
    dict of str to Interval
        Null where the gap's interval is not above `LEAST_GAP`: there is no lie to undo.
    """
    gap_values = np.asarray(gap, dtype=np.float64)
    gain_rows = np.stack([np.asarray(gain, dtype=np.float64) for gain in gains.values()])
    shares = ratios.recovered(gain_rows, gap_values, subject, LEAST_GAP, seed)
    return {
        name: replace(share, n=len(gap_values)) for name, share in zip(gains, shares, strict=True)
    }


def recovered(about: PromptPairs, runs: Answers, head_set: NamedSet) -> Interval:
    """Return the fraction of the p_correct gap, base to source run, that a set recovers."""
    gain, gap = _gains(about, runs, [head_set])
    return shares({"recovered": gain[0]}, gap, about.subject)["recovered"]


def generalisation(
    about: PromptPairs, runs_by_wording: dict[str, Answers], sets: list[NamedSet], kind: str
) -> Generalisation:
    """Compare sets scored where they were chosen with sets chosen elsewhere.

    Parameters
    ----------
    about : PromptPairs
        The statements of the report split.
    runs_by_wording : dict of str to dict
        Runs of each wording, from `scores_runs.answers`.
    sets : list of NamedSet
        From `scores_runs.sets_of`.
    kind : str
        What the sets were chosen on: `TOPIC` or `WORDING`.
    """
    kind_sets = [head_set for head_set in sets if head_set.chosen_on == kind]
    names = np.array([head_set.name for head_set in kind_sets])
    topic = about.table["topic"].to_numpy()
    gaps, on_gains, off_gains, subjects, ids = [], [], [], [], []
    for wording, runs in runs_by_wording.items():
        gain, gap = _gains(about, runs, kind_sets)
        place = topic if kind == TOPIC else np.full(len(topic), wording)
        is_own = names[:, None] == place  # (n_sets, n_statements)
        has_own_set = (is_own.sum(axis=0) == 1) & (len(kind_sets) > 1)
        gain, is_own = gain[:, has_own_set], is_own[:, has_own_set]
        on_gains.append((gain * is_own).sum(axis=0))
        off_gains.append((gain * ~is_own).sum(axis=0) / max(1, len(kind_sets) - 1))
        gaps.append(gap[has_own_set])
        subjects.append(about.subject[has_own_set])
        ids.append(about.table["statement_id"].to_numpy()[has_own_set])
    same_place_gain, other_place_gain = np.concatenate(on_gains), np.concatenate(off_gains)
    gains = {
        "on_diagonal": same_place_gain,
        "off_diagonal": other_place_gain,
        "difference": other_place_gain - same_place_gain,
    }
    intervals = shares(gains, np.concatenate(gaps), np.concatenate(subjects))
    n = len(np.unique(np.concatenate(ids)))  # a statement has a row per wording
    of_statements = {name: replace(interval, n=n) for name, interval in intervals.items()}
    return Generalisation(**of_statements, n_sets=len(kind_sets))


def _gains(
    about: PromptPairs, runs: Answers, sets: list[NamedSet]
) -> tuple[np.ndarray, np.ndarray]:
    """Gain in p_correct over the base run: of each set, (n_sets, n_statements), and the source."""
    p_correct = {key: patch.p_correct(p, about.label) for key, p in runs.items()}
    source, base = (
        p_correct[key] for role in ("source", "base") for key in p_correct if key[2] == role
    )
    gain = [p_correct[head_set.chosen_on, head_set.name, "patched"] - base for head_set in sets]
    return np.reshape(gain, (len(sets), len(base))), source - base
