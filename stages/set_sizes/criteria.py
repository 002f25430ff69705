"""Criteria of the greedy searches for head sets: scores of the run with the set patched in."""

from collections.abc import Callable

import numpy as np

from stages.lib.patching import patch


def accuracy(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Return the accuracy, with ties broken by the mean p_correct.

    The term of p_correct is smaller than the contribution of one statement to the accuracy, so it
    decides between sets of equal accuracy only. Without this term the search would add heads by
    layer and head number wherever no single head changes an answer.
    """
    n = len(label)
    share_correct = patch.correct(probabilities, label).mean()
    return float(share_correct + patch.p_correct(probabilities, label).mean() / (n + 1))


def margin(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Return the mean P(right answer) - P(wrong answer), not normalised over both answers."""
    p = probabilities.astype(np.float64)
    return float(patch.toward_right(p[:, 0] - p[:, 1], label).mean())


def log_odds(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Return the mean of log P(right answer) - log P(wrong answer), in nats."""
    return float(patch.log_odds(probabilities, label).mean())


CRITERIA: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "greedy_accuracy": accuracy,
    "greedy_margin": margin,
    "greedy_log_odds": log_odds,
    "greedy_p_correct": patch.mean_p_correct,  # the criterion of stage `heads`
}
