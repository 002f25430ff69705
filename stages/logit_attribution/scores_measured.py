"""Metrics of direct attribution: the parts of both runs compared."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.lib import stats
from stages.logit_attribution import scores_contributions as attribution
from stages.logit_attribution.metrics import (
    Lens,
    LensDivergence,
    LensLayer,
    Measured,
    Part,
    RankedPart,
    Runs,
    Sum,
    Token,
    Tokens,
    Top,
)
from stages.logit_attribution.schema import LogitParts
from stages.logit_attribution.scores_contributions import KINDS, Array, Contributions, Pair, paired

TOP = 10  # number of heads, and of sublayers, in the metrics
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
    divergence: LensDivergence,
    split: LogitParts,
    subject: NDArray[Any],
) -> Measured:
    """Compare the parts of both runs.

    Parameters
    ----------
    source, base : Contributions
        Parts of both runs.
    tokens : Pair
        The two tokens whose logits are compared.
    divergence : LensDivergence
        Where the runs diverge.
    split : LogitParts
        Contents of the file that the stage wrote.
    subject : ndarray of shape (n_statements,)
        What each statement is about.
    """
    total_gap = source.total - base.total

    def part(of: Callable[[Contributions], Array]) -> Part:
        values = paired(of(source), of(base))
        (share,) = attribution.shares(values["difference"][:, None], total_gap, subject)
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
            heads=_top(source.heads - base.heads, total_gap, subject, lambda i, j: f"{i}.{j}"),
            sublayers=_top(
                np.stack(sublayers, axis=2), total_gap, subject, lambda i, j: f"{KINDS[j]} {i}"
            ),
        ),
        lens=Lens(divergence),
    )


def null_results() -> Measured:
    """Return the metrics where nothing was measured: the same keys with nulls."""
    null, no_layer = stats.NOTHING, LensLayer(None, None, None, 0, None)
    return Measured(
        tokens=Tokens(None, None, None),
        sum=Sum(None, None, None),
        logit_difference=Runs(null, null, null),
        parts=dict.fromkeys(SPLITS, Part(null, null, null, null)),
        top=Top({}, {}),
        lens=Lens(LensDivergence(no_layer, no_layer)),
    )


def _named(tokens: Pair, split: LogitParts) -> Tokens:
    """The two tokens, by id and text."""
    true, false = (Token(split.ids[i], split.texts[i]) for i in (tokens.true, tokens.false))
    return Tokens(true, false, tokens.share)


def _means(values: dict[str, Array], subject: NDArray[Any]) -> dict[str, stats.Interval]:
    """Mean of each run's numbers, and of their difference."""
    return {run: attribution.mean(of_run, subject) for run, of_run in values.items()}


def _top(
    gap: Array, total_gap: Array, subject: NDArray[Any], name: Callable[[int, int], str]
) -> dict[str, RankedPart]:
    """The `TOP` parts whose mean differs most; `gap` is (n_statements, n_layers, n_parts)."""
    flat = gap.reshape(len(gap), -1)
    order = np.argsort(-np.abs(flat.mean(axis=0)), kind="stable")[:TOP]
    shares = attribution.shares(flat[:, order], total_gap, subject)
    return {
        name(*divmod(int(place), gap.shape[2])): RankedPart(
            **vars(attribution.mean(flat[:, place], subject)), rank=rank, share=share
        )
        for rank, (place, share) in enumerate(zip(order, shares, strict=True), start=1)
    }
