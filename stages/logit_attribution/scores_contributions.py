"""Direct logit attribution: what each part adds to logit(right answer) - logit(wrong answer).

This is the direct effect of a part. It does not include the effect of a head through a later MLP,
however large; activation patching measures that.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.patching import patch
from stages.lib.stats import Interval, ratios

Array = NDArray[np.float64]
RUNS: tuple[str, ...] = ("source", "base", "difference")
KINDS = ("attention", "mlp")
LEAST = 1e-3  # nats: a smaller difference of logits is too small to divide by


@dataclass(frozen=True)
class Pair:
    """The tokens of both answers whose logits are compared.

    Attributes
    ----------
    true, false : int
        Their places among the answer tokens.
    share : float
        Mean fraction of the answers' probability that the two tokens have.
    """

    true: int
    false: int
    share: float


@dataclass(frozen=True)
class Contributions:
    """What each part adds to logit(right answer) - logit(wrong answer), in nats.

    Attributes
    ----------
    embedding, constant : ndarray of shape (n_statements,)
        Of the last token's embedding, and of the biases of final norm and unembedding.
    attention, mlp : ndarray of shape (n_statements, n_layers)
        Of each layer.
    heads : ndarray of shape (n_statements, n_layers, n_heads)
        Of each head; a layer's attention is their sum, and the bias of its output projection.
    total : ndarray of shape (n_statements,)
        The real difference of the two logits.
    error : float
        Largest difference between a statement's total and the sum of its parts.
    largest : float
        Largest part of any statement.
    """

    embedding: Array
    attention: Array
    mlp: Array
    heads: Array
    constant: Array
    total: Array
    error: float
    largest: float


def pair(log_p: list[Array], n_true: int) -> Pair:
    """Choose the most probable token of each answer, by its mean probability over runs.

    Parameters
    ----------
    log_p : list of ndarray of shape (n_statements, n_ids)
        Log-probability of each answer token in each run, those of "true" first.
    n_true : int
        How many of them are of "true".
    """
    p = np.exp(np.concatenate(log_p))
    mean = p.mean(axis=0)
    true, false = int(mean[:n_true].argmax()), n_true + int(mean[n_true:].argmax())
    answer_mass = np.maximum(p.sum(axis=1), np.finfo(np.float64).tiny)
    return Pair(true, false, float(((p[:, true] + p[:, false]) / answer_mass).mean()))


def contributions(parts: Any, tokens: Pair, label: NDArray[np.bool_]) -> Contributions:
    """Split the difference of two logits into parts, toward the right answer.

    A model may scale or cap its logits. This changes the difference by one factor per statement,
    which is held at its real value, like the final norm's scale: the parts still add up.

    Parameters
    ----------
    parts : forward.Parts
        Parts of one run.
    tokens : Pair
        The two tokens whose logits are compared.
    label : ndarray of shape (n_statements,), bool
        Whether each statement is true.
    """

    def between(values: Array) -> Array:
        return values[..., tokens.true] - values[..., tokens.false]

    raw, real = between(parts.raw), between(parts.logits)
    sign = patch.sign(label)
    factor = sign * _factor(raw, real)

    def toward(values: Array) -> Array:
        return between(values) * factor.reshape(-1, *[1] * (values.ndim - 2))

    logits = [toward(values) for values in (parts.embedding, parts.attention, parts.mlp)]
    constant = between(parts.constant) * factor
    embedding, attention, mlp = logits
    gap = embedding + attention.sum(axis=1) + mlp.sum(axis=1) + constant - sign * real
    return Contributions(
        embedding=embedding,
        attention=attention,
        mlp=mlp,
        heads=toward(parts.heads),
        constant=constant,
        total=sign * real,
        error=float(np.abs(gap).max(initial=0.0)),
        largest=max(float(np.abs(x).max(initial=0.0)) for x in (*logits, constant)),
    )


def paired(source: Array, base: Array) -> dict[str, Array]:
    """Return the values of both runs, and the source's minus the base's, per statement."""
    return dict(zip(RUNS, (source, base, source - base), strict=True))


def means(values: Array, subject: NDArray[Any]) -> tuple[Array, Array, Array]:
    """Return means over statements, with 95 % intervals as in `stats.mean`, without bounds.

    Parameters
    ----------
    values : ndarray of shape (n_statements, ...)
        At least one statement.
    subject : ndarray of shape (n_statements,)
        What each statement is about.

    Returns
    -------
    value, low, high : ndarray of shape (...)
        `low` and `high` are NaN where there is only one subject.
    """
    value, half = stats.means(values, subject)
    return value, value - half, value + half


def mean(values: Array, subject: NDArray[Any]) -> Interval:
    """Return the mean of one number per statement, with its interval, as in `means`."""
    if not len(values):
        return stats.NOTHING
    value, low, high = (float(x) for x in means(values, subject))
    ends = (None, None) if np.isnan(low) else (low, high)
    return Interval(value, *ends, len(values))


def shares(
    part_values: Array, total: Array, subject: NDArray[Any], seed: int = 0
) -> list[Interval]:
    """Return each part's mean as a fraction of the mean total, with intervals over subjects.

    Parameters
    ----------
    part_values : ndarray of shape (n_statements, n_parts)
        Parts of `total`.
    total : ndarray of shape (n_statements,)
        For example one run's value minus another's.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    seed : int
        Seed of the bootstrap's draws.

    Returns
    -------
    list of Interval, length n_parts
        Nulls where the interval of the mean total contains 0: a fraction would mean nothing.
    """
    if not is_clear(total, subject):
        return [Interval(None, None, None, len(total))] * part_values.shape[1]
    return ratios.ratios(part_values.T, total, subject, seed)


def is_clear(total: Array, subject: NDArray[Any]) -> bool:
    """Whether the 95 % interval of a mean excludes 0."""
    return mean(total, subject).excludes(0)


def _factor(raw: Array, real: Array) -> Array:
    """Factor by which the model's scale or cap of logits changes each difference of two."""
    power = float((raw * raw).sum())
    common = float((raw * real).sum()) / power if power > 0 else 1.0
    if np.abs(common * raw - real).max(initial=0.0) <= LEAST * np.abs(real).max(initial=0.0):
        return np.full_like(raw, common)
    return np.divide(real, raw, out=np.full_like(raw, common), where=np.abs(raw) > LEAST)
