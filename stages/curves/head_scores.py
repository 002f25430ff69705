"""Head sets scored by several criteria, greedily grown by each, no set patched twice."""

from collections.abc import Callable

import numpy as np
import polars as pl

from stages.lib.forward import Patcher
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases
from stages.lib.patching.patch import Head

Criterion = Callable[[np.ndarray, np.ndarray], float]


def accuracy(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Share of right answers; sets with equally many are told apart by truth.

    Truth adds less than one statement does, so that it decides between equals only. Without it
    the search would add heads in the order of their names wherever no single one turns an answer.
    """
    n = len(label)
    right = patch.correct(probabilities, label).mean()
    return float(right + patch.truth(probabilities, label).mean() / (n + 1))


def margin(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean of P(right answer) - P(wrong answer), both as they are among all tokens."""
    p = probabilities.astype(np.float64)
    return float(((p[:, 0] - p[:, 1]) * np.where(label, 1, -1)).mean())


def log_odds(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean of log P(right answer) - log P(wrong answer), in nats."""
    logs = np.log(np.maximum(probabilities.astype(np.float64), patch.LEAST))
    return float(((logs[:, 0] - logs[:, 1]) * np.where(label, 1, -1)).mean())


def truth(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean probability of the right answer out of both: what `heads` searches by."""
    return float(patch.truth(probabilities, label).mean())


CRITERIA: dict[str, Criterion] = {
    "greedy_accuracy": accuracy,
    "greedy_margin": margin,
    "greedy_log_odds": log_odds,
    "greedy_truth": truth,
}


class Runs:
    """Patched runs of head sets over the same statements; each set is patched once.

    Parameters
    ----------
    patcher : Patcher
        Over the statements of `cases`.
    cases : Cases
        The statements.
    n_layers, n_heads : int
        Sizes of the model.
    title : str
        Shown beside the progress bars.

    Attributes
    ----------
    base, source : ndarray of shape (n_statements, 2)
        P(true) and P(false) of the unpatched runs.
    """

    def __init__(
        self, patcher: Patcher, cases: Cases, n_layers: int, n_heads: int, title: str
    ) -> None:
        self._patcher, self.cases, self.shape, self._title = (
            patcher, cases, (n_layers, n_heads), title,
        )  # fmt: skip
        none = np.zeros((1, *self.shape), bool)
        readouts = patcher(none, title)
        self.base, self.source = readouts.base, readouts.source
        self._known: dict[bytes, np.ndarray] = {none[0].tobytes(): readouts.base}

    def __call__(self, sets: list[list[Head]]) -> list[np.ndarray]:
        """P(true) and P(false), (n_statements, 2), with each set of heads written."""
        patches = patch.of_heads(sets, *self.shape)
        keys = [heads.tobytes() for heads in patches]
        new = {key: i for i, key in enumerate(keys) if key not in self._known}
        if new:
            patched = self._patcher(patches[list(new.values())], self._title).patched
            self._known |= dict(zip(new, patched, strict=True))
        return [self._known[key] for key in keys]

    def remember(self, runs: pl.DataFrame) -> None:
        """Take over runs of another stage with the same patch and the same statements.

        Parameters
        ----------
        runs : DataFrame
            With the columns of `patched_runs.SCHEMA`. Runs that lack a statement are passed over.
        """
        ids = self.cases.table.select("statement_id")
        for _, rows in runs.group_by("patch_id", maintain_order=True):
            own = ids.join(rows, on="statement_id", how="inner", maintain_order="left")
            if len(own) == len(ids) > 0:
                heads = [Head(place["layer"], place["head"]) for place in own["heads"][0]]
                key = patch.of_heads([heads], *self.shape)[0].tobytes()
                self._known.setdefault(key, own.select("p_true", "p_false").to_numpy())


def grow(runs: Runs, criterion: Criterion, heads: list[Head], keep: float) -> list[Head]:
    """Add heads, each time the one that raises the criterion most, as `heads` does for truth.

    Parameters
    ----------
    runs : Runs
        Patches the sets.
    criterion : callable
        Score of a run from its probabilities and the labels.
    heads : list of Head
        Candidates: those of a window.
    keep : float
        Share of the gain of all candidates together at which the search stops.

    Returns
    -------
    list of Head
        In the order in which they were added; empty where all candidates together gain nothing.
    """

    def score(sets: list[list[Head]]) -> list[float]:
        return [criterion(p, runs.cases.label) for p in runs(sets)]

    low, high = score([[], heads])
    steps = patch.greedy(score, heads, low, low + keep * (high - low))
    return [step.head for step in steps if step.head is not None]
