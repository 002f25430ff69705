"""Metrics of direct attribution: the parts of both runs beside each other."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.logit_attribution import scores_contributions as attribution
from stages.logit_attribution.metrics import (
    Lens,
    Measured,
    Part,
    Parted,
    Parting,
    Ranked,
    Runs,
    Sum,
    Token,
    Tokens,
    Top,
)
from stages.logit_attribution.scores_contributions import KINDS, Array, Contributions, Pair, paired
from stages.logit_attribution.table import Split

TOP = 10  # heads, and sublayers, that the metrics name
SPLITS: dict[str, Callable[[Contributions], Array]] = {
    "embedding": lambda x: x.embedding,
    "attention": lambda x: x.attention.sum(axis=1),
    "heads": lambda x: x.heads.sum(axis=(1, 2)),
    "mlp": lambda x: x.mlp.sum(axis=1),
    "constant": lambda x: x.constant,
}


def measured(
    source: Contributions,
    base: Contributions,
    tokens: Pair,
    parting: Parting,
    split: Split,
    subject: NDArray[Any],
) -> Measured:
    """Put the parts of both runs beside each other.

    Parameters
    ----------
    source, base : Contributions
        Of both runs.
    tokens : Pair
        That they are about.
    parting : Parting
        Where the runs diverge.
    split : Split
        What the stage wrote.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    """
    whole = source.total - base.total

    def part(of: Callable[[Contributions], Array]) -> Part:
        values = paired(of(source), of(base))
        (share,) = attribution.shares(values["difference"][:, None], whole, subject)
        return Part(**_means(values, subject), share=share)

    sublayers = [getattr(source, kind) - getattr(base, kind) for kind in KINDS]
    return Measured(
        tokens=_named(tokens, split),
        sum=Sum(
            largest_error=max(source.error, base.error),
            largest_heads_error=split.heads_error,
            largest_part=max(source.largest, base.largest),
        ),
        logit_difference=Runs(**_means(paired(source.total, base.total), subject)),
        parts={name: part(of) for name, of in SPLITS.items()},
        top=Top(
            heads=_top(source.heads - base.heads, whole, subject, lambda i, j: f"{i}.{j}"),
            sublayers=_top(
                np.stack(sublayers, axis=2), whole, subject, lambda i, j: f"{KINDS[j]} {i}"
            ),
        ),
        lens=Lens(parting),
    )


def nothing() -> Measured:
    """What is written where nothing was measured: the same keys with nulls."""
    null, never = stats.NOTHING, Parted(None, None, None, 0, None)
    return Measured(
        tokens=Tokens(None, None, None),
        sum=Sum(None, None, None),
        logit_difference=Runs(null, null, null),
        parts=dict.fromkeys(SPLITS, Part(null, null, null, null)),
        top=Top({}, {}),
        lens=Lens(Parting(never, never)),
    )


def _named(tokens: Pair, split: Split) -> Tokens:
    """The two tokens, by id and text."""
    true, false = (Token(split.ids[i], split.texts[i]) for i in (tokens.true, tokens.false))
    return Tokens(true, false, tokens.share)


def _means(values: dict[str, Array], subject: NDArray[Any]) -> dict[str, stats.Interval]:
    """Mean of each run's numbers, and of their difference."""
    return {run: attribution.mean(of_run, subject) for run, of_run in values.items()}


def _top(
    gap: Array, whole: Array, subject: NDArray[Any], name: Callable[[int, int], str]
) -> dict[str, Ranked]:
    """The parts whose mean differs most between the runs, (n_statements, n_layers, n) in all."""
    flat = gap.reshape(len(gap), -1)
    order = np.argsort(-np.abs(flat.mean(axis=0)), kind="stable")[:TOP]
    shares = attribution.shares(flat[:, order], whole, subject)
    return {
        name(*divmod(int(place), gap.shape[2])): Ranked(
            **vars(attribution.mean(flat[:, place], subject)), rank=rank, share=share
        )
        for rank, (place, share) in enumerate(zip(order, shares, strict=True), start=1)
    }
