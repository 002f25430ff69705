"""The claim that the lie is found in the layers that were trained to lie."""

from typing import Any

from scipy import stats as distributions  # pyright: ignore[reportMissingTypeStubs]

from stages.ground_truth.metrics import LyingMetrics
from stages.lib.claim import Chance, Check, Claim, Note, above, so, unlikely
from stages.lib.patching.layer_window import Window
from stages.report import directions, words
from stages.report.results import Results

HYPERGEOMETRIC: Any = distributions.hypergeom  # scipy has no types
TRUTH = "ground_truth"
ROUNDING = 1e-5  # an overlap in metrics/ has six digits


def claim(results: Results, source: str, base: str) -> Claim | None:
    """Window, heads and directions point at the trained layers; None for other models."""
    scores = results.ground_truth
    if not isinstance(scores, LyingMetrics) or scores.trained_layers is None:
        return None
    where, heads, best = scores.trained_layers, scores.heads, results.windows.best
    trained = words.layers(where)
    others = heads.others.max
    read = directions.diverges_after(results, source, base)
    checks = [
        unlikely(
            "intersection over union of the best window and the trained layers",
            f"{words.plain(scores.window.overlap, 2)}; a window drawn at random has "
            f"{words.plain(scores.window.by_chance, 2)}",
            _overlap(scores, best),
            TRUTH,
        ),
        above(
            "share of the summed positive single-head effects in trained layers (selection split)",
            heads.share,
            heads.share_by_chance,
            TRUTH,
        ),
        above(
            "AUROC of single heads' effects for the trained layers (selection split)",
            heads.auroc,
            0.5,
            TRUTH,
        ),
        above(
            "AUROC of single heads' effects for the trained layers, against the largest of "
            f"{heads.others.n_blocks} other blocks of as many layers (selection split)",
            heads.auroc,
            others,
            TRUTH,
        ),
        *_trained_heads(scores, best),
        so(
            "layer after which the truth directions diverge (mass mean corrected)",
            f"in {trained}",
            words.plain(read, 0),
            _inside(read, where),
            directions.TRANSFER,
        ),
    ]
    return Claim(
        f"Is the lie found in the layers that were trained to lie ({trained})?",
        f"Windows, single heads, the head set and truth directions all point at {trained}.",
        checks,
        ("ground_truth.png",),
        notes=[
            Note(
                "Which layers the training could change is known. Which of these layers the "
                "training used is not known, and layers that were not trained may take part in "
                "the lie.",
                TRUTH,
            ),
            Note(
                "Windows whose P(correct) does not differ significantly (paired) from that of the "
                "best window, the best window included, begin at layer: "
                f"{', '.join(sorted(scores.window.as_good or {}, key=int)) or 'none'}.",
                TRUTH,
            ),
        ],
    )


def _overlap(scores: LyingMetrics, best: Window | None) -> Chance | None:
    """Return the chance that a window overlaps the trained layers as much as the best one does."""
    best_overlap, where = scores.window.overlap, scores.trained_layers
    if best_overlap is None or best is None or where is None or not scores.heads.n_trained:
        return None
    trained = set(where.layers)
    n_layers = scores.heads.n_heads * len(trained) // scores.heads.n_trained
    size = len(best.layers)
    overlaps = [
        len(trained & set(range(i, i + size))) / len(trained | set(range(i, i + size)))
        for i in range(n_layers - size + 1)
    ]
    p, least = (
        sum(overlap >= bound - ROUNDING for overlap in overlaps) / len(overlaps)
        for bound in (best_overlap, max(overlaps))
    )
    return Chance(p, least, refuted=best_overlap == 0)


def _trained_heads(scores: LyingMetrics, best: Window | None) -> list[Check]:
    """Check how many heads of the set were trained, against the number expected by chance.

    No check if the search was limited to trained layers.
    """
    measures = "heads of the set that are in trained layers"
    n, n_trained = scores.set.n_heads, scores.set.n_trained
    if not n or best is None or scores.trained_layers is None or not scores.heads.n_trained:
        return [unlikely(measures, "not measured", None, TRUTH)]
    trained = set(scores.trained_layers.layers)
    n_heads = scores.heads.n_trained // len(trained)
    layers = set(best.layers)
    inside, every = len(layers & trained) * n_heads, len(layers) * n_heads
    says = (
        f"{n_trained} of {n}; a random set of the best window, where the search looked, has "
        f"{n * inside / every:.1f} on average"
    )
    if inside == every:
        return []
    p = float(HYPERGEOMETRIC.sf(n_trained - 1, every, inside, n))
    least = float(HYPERGEOMETRIC.pmf(min(n, inside), every, inside, n))
    return [unlikely(measures, says, Chance(p, least, refuted=n_trained == 0), TRUTH)]


def _inside(layer: int | None, where: Window) -> bool | None:
    """Say whether a layer is in a window; None without a layer."""
    return None if layer is None else layer in where.layers
