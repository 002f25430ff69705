"""Claims on attribution patching, which estimates the effects of single heads by gradient."""

from stages.attribution_patching.metrics import LEAST, AttributionPatchingMetrics
from stages.lib.claim import Claim, Note, above, no_worse
from stages.lib.stats.run_points import ByLabel
from stages.report import words
from stages.report.results import Results
from stages.set_sizes.metrics import Rule

ESTIMATES, SIZES = "attribution_patching", "set_sizes"


def ranking(results: Results) -> Claim:
    """Attribution patching ranks heads as real patches do."""
    score = results.attribution_patching
    top = score.top
    checks = [
        above(
            f"rank correlation of estimated and true effect, {score.n_heads} heads, statements of "
            "the selection split",
            score.rank_correlation,
            0.0,
            ESTIMATES,
        ),
        above(
            "fraction of the top tenth of heads by true effect that are in the top tenth by "
            "estimate, statements of the selection split",
            top,
            top.by_chance,
            ESTIMATES,
        ),
    ]
    return Claim(
        "Does attribution patching rank heads better than chance?",
        "Effects of single heads, estimated by gradient, rank the heads better than chance.",
        checks,
        ("attribution_patching.png",),
        notes=_wrong_signs(score),
    )


def estimated_sets(results: Results) -> Claim:
    """Sets in the order of the estimate do as well as those in the order of true effects."""
    rule = results.set_sizes.rules.get("estimate")
    area = rule.up["difference"]["auc_log"] if isinstance(rule, Rule) else None
    checks = [
        no_worse(
            "area under P(correct) against the logarithm of the number of heads patched, order "
            "of attribution patching minus order of true effects",
            area,
            SIZES,
        )
    ]
    notes = _one_sided(rule.by_label) if isinstance(rule, Rule) else []
    return Claim(
        "Do head sets ranked by attribution patching do as well as sets ranked by true effects?",
        "Sets of the heads with the largest effects by attribution patching do as well as sets of "
        "the heads with the largest true effects.",
        checks,
        notes=notes,
    )


def _wrong_signs(score: AttributionPatchingMetrics) -> list[Note]:
    """Name the heads whose estimate has the wrong sign."""
    if not score.n_heads:
        return []
    return [
        Note(
            f"Among the heads whose true effect is at least {LEAST:g} of the largest, the estimate "
            f"has the wrong sign for (layer.head): {words.heads(score.wrong_sign)}.",
            ESTIMATES,
        )
    ]


def _one_sided(by_label: dict[str, ByLabel]) -> list[Note]:
    """Say at which sizes the order of the estimate turns the answers to one label alone."""
    gaps = {
        size: f"{words.plural(int(size), 'head')} ({words.labels(both)})"
        for size, both in by_label.items()
        if both.true.value is not None
        and both.false.value is not None
        and abs(both.true.value - both.false.value) > 0.5
    }
    if not gaps:
        return []
    listed = "; ".join(gaps[size] for size in sorted(gaps, key=int))
    return [
        Note(
            "At some sizes the order of attribution patching is right on one label alone, so that "
            f"accuracy is near 0.5: {listed}.",
            SIZES,
        )
    ]
