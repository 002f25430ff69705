"""Criteria that a head set is grown by, each a score of the run with the set patched in."""

from collections.abc import Callable

import numpy as np

from stages.lib.patching import patch


def accuracy(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Accuracy, with p_correct to break ties.

    p_correct adds less than one statement does, so that it decides between equals only. Without it
    the search would add heads in the order of their names wherever no single one turns an answer.
    """
    n = len(label)
    right = patch.correct(probabilities, label).mean()
    return float(right + patch.p_correct(probabilities, label).mean() / (n + 1))


def margin(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean of P(right answer) - P(wrong answer), both as they are among all tokens."""
    p = probabilities.astype(np.float64)
    return float(((p[:, 0] - p[:, 1]) * np.where(label, 1, -1)).mean())


def log_odds(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Mean of log P(right answer) - log P(wrong answer), in nats."""
    return float(patch.log_odds(probabilities, label).mean())


CRITERIA: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "greedy_accuracy": accuracy,
    "greedy_margin": margin,
    "greedy_log_odds": log_odds,
    "greedy_p_correct": patch.mean_p_correct,  # what `heads` searches by
}
