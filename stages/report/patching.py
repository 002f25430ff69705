"""Claims on the effect of patching activations of one run into the other."""

from collections import Counter
from typing import Any

from scipy import stats as distributions  # pyright: ignore[reportMissingTypeStubs]

from stages.attribution_patching.metrics import LEAST, AttributionPatchingMetrics
from stages.ground_truth.metrics import PlantedMetrics
from stages.lib import names
from stages.lib.claim import (
    FEW,
    Chance,
    Check,
    Claim,
    Note,
    Table,
    above,
    among,
    below,
    no_worse,
    number,
    so,
    unlikely,
)
from stages.lib.stats import MARGIN, Interval
from stages.lib.stats.run_points import ALL, ByLabel
from stages.lib.stats.windows import Window
from stages.report import reading, words
from stages.report.results import Results
from stages.robustness.metrics import ChosenSet
from stages.set_sizes.metrics import Rule, Smallest
from stages.transplant.metrics import Rank, Ranks
from stages.widths.metrics import Size
from stages.windows.metrics import WindowsMetrics

HYPERGEOMETRIC: Any = distributions.hypergeom  # scipy has no types
RULES = (
    "Single effects: each head patched alone. Attribution patching: their estimate by gradient, on "
    "log-odds. Retested: the top tenth of the estimates, or of their sizes whatever the sign, "
    "patched head by head. Leaving out: what is lost without the head. Greedy: the head that adds "
    "most to those before it"
)
WINDOWS, WIDTHS, TRANSPLANT, SIZES = "windows", "widths", "transplant", "set_sizes"
CONTROLS, ROBUST, TRUTH, ESTIMATES = (
    "controls",
    "robustness",
    "ground_truth",
    "attribution_patching",
)


def window(results: Results, source: str, base: str) -> Claim:
    """Patching a few consecutive layers undoes the lie."""
    windows = results.windows
    best, runs = windows.best, windows.runs["report"]
    where = "the best window" if best is None else words.layers(best)
    patched = runs.get("patched")
    widths = {int(size): entry for size, entry in results.widths.patched.items()}
    checks = [
        above(
            f"accuracy as `{base}` with z of all heads of {where} patched", patched, 0.5, WINDOWS
        ),
        above(
            f"accuracy with it patched, against {number(runs['base'])} unpatched",
            patched,
            runs["base"].high,
            WINDOWS,
        ),
        above(
            "accuracy of the best window minus the median one that shares no layer with it",
            _best_minus_control(widths, best),
            0.0,
            WIDTHS,
        ),
    ]
    notes = [
        Note(
            f"Unpatched: `{base}` {number(runs['base'])}; `{source}` {number(runs['source'])}.",
            WINDOWS,
        ),
        *_as_accurate(windows),
        Note("The paper: five of 80 layers of LLaMA-2-70b-chat, 19 to 23."),
    ]
    return Claim(
        "Does patching a few consecutive layers undo the lie?",
        f"z of a few consecutive layers, patched from `{source}` into `{base}`, brings the right "
        "answers back.",
        checks,
        ("windows.png", "widths.png"),
        notes=notes,
        tables=[_best_by_size(widths)],
    )


def few_heads(results: Results, source: str, base: str) -> Claim:
    """Patching a small set of heads undoes the lie, and sets in other layers do not."""
    heads, runs = results.heads, results.transplant
    every = runs.by_topic[ALL]
    share = heads.share_of_all_heads
    size = "no set" if share is None else f"{heads.n_heads} heads ({share:.1%} of all)"
    candidates = results.robustness.n_candidates
    checks = [
        above(f"accuracy as `{base}` with z of {size} patched", every["patched"], 0.5, TRANSPLANT),
        above(
            "accuracy that the patch adds, statement by statement",
            runs.effect["patched - base"].accuracy,
            0.0,
            TRANSPLANT,
        ),
        above(
            f"fraction of the gap in P(correct) between `{source}` and `{base}` that is recovered",
            _recovered_fraction(results.robustness.sets),
            0.5,
            ROBUST,
        ),
        so(
            "heads in the set",
            f"below {candidates}, the heads of the best window",
            size,
            heads.n_heads < candidates if heads.n_heads and candidates else None,
            "heads",
        ),
        _random(runs.elsewhere, "in the other layers"),
    ]
    rules = {name: of for name, of in results.set_sizes.rules.items() if isinstance(of, Rule)}
    notes = [
        Note(
            f"Unpatched: `{base}` {number(every['base'])}; `{source}` {number(every['source'])}.",
            TRANSPLANT,
        ),
        Note("The paper: 46 of 5,120 heads of LLaMA-2-70b-chat (0.9 %)."),
        *_members(results),
        *_random_by_label(runs.elsewhere, "in the other layers"),
    ]
    return Claim(
        "Is a small set of heads enough?",
        f"z of a small set of heads, patched from `{source}` into `{base}`, brings the right "
        "answers back, and as many random heads of other layers do not.",
        checks,
        ("transplant.png", "heads.png", "set_sizes.png"),
        notes=notes,
        tables=[
            _spread(runs.elsewhere, "in the other layers"),
            _fewest_heads({name: rule.smallest for name, rule in rules.items()}),
        ],
    )


def these_heads(results: Results, source: str, base: str) -> Claim:
    """These heads carry the lie, rather than any heads of the same layers."""
    ranks, gaps = results.transplant.random, results.controls.patched_minus
    rest = gaps["rest_of_layers"].accuracy if "rest_of_layers" in gaps else None
    n_rest = results.controls.n_heads.get("rest_of_layers")
    checks = [
        above(
            f"accuracy with the set patched minus with all other heads of its layers ({n_rest})",
            rest,
            0.0,
            CONTROLS,
        ),
        _random(ranks, "in the same layers"),
    ]
    shared = "; ".join(
        f"{count} heads {row.accuracy:.2f} ({words.plural(row.n_sets, 'set')})"
        for count, row in sorted(ranks.shared.items(), key=lambda item: int(item[0]))
    )
    notes = [*_shared_heads(results), *_other_heads(results)]
    notes += _random_by_label(ranks, "in the same layers")
    if shared:
        fewest = min(map(int, ranks.shared))
        notes.append(
            Note(
                f"Every random set shares at least {words.plural(fewest, 'head')} with the set. "
                f"Mean accuracy by how many: {shared}.",
                TRANSPLANT,
            )
        )
    return Claim(
        "Is it these heads, rather than any of the same layers?",
        "The set restores more than the other heads of its layers, and than random sets with as "
        "many heads in each of these layers.",
        checks,
        notes=notes,
        tables=[_spread(ranks, "in the same layers")],
    )


def reverse(results: Results, source: str, base: str) -> Claim:
    """The same heads make the honest run lie."""
    runs = results.transplant
    checks = [
        below(
            f"accuracy as `{source}` with z of the set patched from `{base}`",
            runs.by_topic[ALL]["reverse"],
            0.5,
            TRANSPLANT,
        ),
        below(
            "accuracy that the patch adds, statement by statement",
            runs.effect["reverse - source"].accuracy,
            0.0,
            TRANSPLANT,
        ),
        below(
            "accuracy with the set patched minus with the other heads of the window",
            results.controls.reverse_minus_rest.get("accuracy"),
            0.0,
            CONTROLS,
        ),
    ]
    note = f"By label, patched: {words.labels(runs.by_label.get('reverse'))}."
    return Claim(
        "Do the same heads make the honest run lie?",
        f"z of the set, patched from `{base}` into `{source}`, makes the answers wrong, and the "
        "other heads of the window do not.",
        checks,
        notes=[Note(note, TRANSPLANT)],
    )


def planted(results: Results, source: str, base: str) -> Claim | None:
    """Window, heads and directions point at the trained layers; None for other models."""
    scores = results.ground_truth
    if not isinstance(scores, PlantedMetrics) or scores.planted is None:
        return None
    where, heads, best = scores.planted, scores.heads, results.windows.best
    trained = words.layers(where)
    others = heads.others.max
    read = reading.diverges_after(results, source, base)
    checks = [
        unlikely(
            "layers of the best window that were trained, over those of either",
            f"{words.plain(scores.window.overlap, 2)}; a window drawn at random has "
            f"{words.plain(scores.window.by_chance, 2)}",
            _overlap(scores, best),
            TRUTH,
        ),
        above(
            "fraction of what single heads gain that heads of the trained layers gain (selection "
            "split)",
            heads.share,
            heads.share_by_chance,
            TRUTH,
        ),
        above(
            "AUROC of single heads' effects, trained layers against the others (selection split)",
            heads.auroc,
            0.5,
            TRUTH,
        ),
        above(
            "AUROC of the trained layers, against the best of "
            f"{heads.others.n_blocks} others (selection split)",
            heads.auroc,
            others,
            TRUTH,
        ),
        *_trained_heads(scores, best),
        so(
            "layer after which the truth directions diverge (mass mean corrected)",
            f"of {trained}",
            words.plain(read, 0),
            _inside(read, where),
            reading.TRANSFER,
        ),
    ]
    return Claim(
        f"Is the lie found in the layers that were trained to lie ({trained})?",
        f"Windows, single heads, the head set and truth directions all point at {trained}.",
        checks,
        ("ground_truth.png",),
        notes=[
            Note(
                "Which layers the training could change is known. Which of them it made use of is "
                "not, and layers that it did not touch may take part.",
                TRUTH,
            ),
            Note(
                "Windows whose P(correct) cannot be told from that of the best one, itself "
                "included, begin at layer: "
                f"{', '.join(sorted(scores.window.as_good or {}, key=int)) or 'none'}.",
                TRUTH,
            ),
        ],
    )


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
            "fraction of the top tenth by true effect that the estimate finds, statements of the "
            "selection split",
            top,
            top.by_chance,
            ESTIMATES,
        ),
    ]
    return Claim(
        "Does attribution patching rank heads as true patches do?",
        "Effects of single heads that are estimated by gradient rank the heads better than chance.",
        checks,
        ("attribution_patching.png",),
        notes=_wrong_signs(score),
    )


def _wrong_signs(score: AttributionPatchingMetrics) -> list[Note]:
    """Name the heads whose estimate has the wrong sign."""
    if not score.n_heads:
        return []
    return [
        Note(
            f"The estimate has the wrong sign for {words.heads(score.wrong_sign)}, of the heads "
            f"whose true effect is at least {LEAST:g} of the largest.",
            ESTIMATES,
        )
    ]


def estimated_sets(results: Results) -> Claim:
    """Sets in the order of the estimate do as well as those in the order of true effects."""
    rule = results.set_sizes.rules.get("estimate")
    area = rule.up["difference"]["auc_log"] if isinstance(rule, Rule) else None
    checks = [
        no_worse(
            "area under P(correct) by the logarithm of the number of heads, order of attribution "
            "patching minus order of true effects",
            area,
            SIZES,
        )
    ]
    notes = _one_sided(rule.by_label) if isinstance(rule, Rule) else []
    return Claim(
        "Do head sets in the order of the estimate restore as much?",
        "Sets of the heads with the largest effects by attribution patching restore as much as "
        "sets "
        "of those with the largest true effects.",
        checks,
        notes=notes,
    )


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
            f"Accuracy near 0.5 in the order of attribution patching is one label alone: {listed}.",
            SIZES,
        )
    ]


def _random(control: Ranks, where: str) -> Check:
    """Check how often random sets do as well, by accuracy or P(correct), whichever is larger."""
    measures = f"random sets of as many heads {where}, at most {MARGIN:.2f} below the set"
    ranks = {"accuracy": control.accuracy, "P(correct)": control.p_correct}
    counts = {name: _as_good(rank) for name, rank in ranks.items() if rank.own is not None}
    chance_by_measure = (among(count, ranks[name].n_sets) for name, count in counts.items())
    chances = [chance for chance in chance_by_measure if chance]
    says = "; ".join(
        f"by {name} {counts[name]} of {rank.n_sets} sets, a share of {number(rank.as_good)}"
        for name, rank in ranks.items()
        if name in counts
    )
    worst = max(chances, key=lambda chance: chance.p, default=None)  # both must be supported
    return unlikely(measures, says or "not measured", worst, TRANSPLANT, f"share below {FEW}")


def _as_good(rank: Rank) -> int:
    """Count random sets that are as good as the head set."""
    return round((rank.as_good.value or 0) * rank.n_sets)


def _spread(control: Ranks, where: str) -> Table:
    """Tabulate accuracy and P(correct) with random sets patched, beside the head set."""
    ranks = {"accuracy": control.accuracy, "P(correct)": control.p_correct}
    rows: list[tuple[str, ...]] = [
        (
            name,
            words.plain(rank.own),
            words.plain(rank.mean),
            words.plain(rank.median),
            f"{words.plain(rank.p05)} to {words.plain(rank.p95)}",
            words.plain(rank.max),
            number(rank.lead),
        )
        for name, rank in ranks.items()
        if rank.own is not None
    ]
    head = ("measure", "the set", "mean", "median", "5 % to 95 %", "maximum", "the set minus mean")
    title = f"The set, and {control.accuracy.n_sets} random sets {where}, on the same statements"
    return Table(title, head, rows, TRANSPLANT)


def _random_by_label(control: Ranks, where: str) -> list[Note]:
    """Write the accuracy of random sets by label, as 0.5 may be a constant answer."""
    if control.one_answer is None:
        return []
    return [
        Note(
            f"Accuracy by label with random sets {where}: {words.labels(control.by_label)}. "
            f"With {control.one_answer} of {control.accuracy.n_sets} sets, at least 90 % of the "
            "answers are one word; a constant answer has an accuracy of 0.5.",
            TRANSPLANT,
        )
    ]


def _overlap(scores: PlantedMetrics, best: Window | None) -> Chance | None:
    """Return the chance that a window overlaps the trained layers as much as the best one does."""
    best_overlap, where = scores.window.overlap, scores.planted
    if best_overlap is None or best is None or where is None or not scores.heads.n_planted:
        return None
    trained = set(_span(where))
    n_layers = scores.heads.n_heads * len(trained) // scores.heads.n_planted
    size = len(_span(best))
    overlaps = [
        len(trained & set(range(i, i + size))) / len(trained | set(range(i, i + size)))
        for i in range(n_layers - size + 1)
    ]
    p = sum(overlap >= best_overlap - 1e-9 for overlap in overlaps) / len(overlaps)
    return Chance(p, 1 / len(overlaps), refuted=best_overlap == 0)


def _trained_heads(scores: PlantedMetrics, best: Window | None) -> list[Check]:
    """Check how many heads of the set were trained, against the number expected by chance.

    No check if the search was limited to trained layers.
    """
    measures = "heads of the set that are in trained layers"
    n, n_trained = scores.set.n_heads, scores.set.n_planted
    if not n or best is None or scores.planted is None or not scores.heads.n_planted:
        return [unlikely(measures, "not measured", None, TRUTH)]
    trained = set(_span(scores.planted))
    n_heads = scores.heads.n_planted // len(trained)
    layers = set(_span(best))
    inside, every = len(layers & trained) * n_heads, len(layers) * n_heads
    says = (
        f"{n_trained} of {n}; a set drawn from the best window, where the search looked, has "
        f"{n * inside / every:.1f}"
    )
    if inside == every:
        return []
    p = float(HYPERGEOMETRIC.sf(n_trained - 1, every, inside, n))
    least = float(HYPERGEOMETRIC.pmf(min(n, inside), every, inside, n))
    return [unlikely(measures, says, Chance(p, least, refuted=n_trained == 0), TRUTH)]


def _members(results: Results) -> list[Note]:
    """Name the heads of the set, the statements that it is scored on, and why it is no smaller."""
    search = results.robustness.sets.get("search", {})
    if "heads" not in search or not search["heads"].heads:
        return []
    least = results.set_sizes.rules.get("greedy_p_correct")
    smallest = least.smallest.n_heads if isinstance(least, Rule) else None
    n = results.transplant.by_topic[ALL]["patched"].n
    known = results.behaviour.known_report
    every = max((of.accuracy.n for of in known.values()), default=0)
    of_all = f"{n} of the {every} known" if every > n else f"all {n} known"
    accuracy = (
        ""
        if smallest is None or smallest >= len(search["heads"].heads)
        else f" Accuracy alone needs fewer: another greedy search on P(correct) has that of the "
        f"honest run with {smallest} heads (metrics/set_sizes.json)."
    )
    return [
        Note(
            f"The set, as layer.head: {words.heads(search['heads'].heads)}. The search adds heads "
            "until the share `heads.keep` of the window's gain in P(correct) is kept, on the "
            f"selection split.{accuracy}",
            ROBUST,
        ),
        Note(
            f"Scored on {of_all} statements of the report split: at most `transplant.limit` per "
            "topic.",
            TRANSPLANT,
        ),
    ]


def _shared_heads(results: Results) -> list[Note]:
    """Say how many heads any set with as many heads in each layer must share with the set."""
    search = results.robustness.sets.get("search", {})
    window = results.robustness.window
    if "heads" not in search or window is None:
        return []
    n_heads = results.robustness.n_candidates // len(_span(window))
    counts = Counter(head.layer for head in search["heads"].heads)
    crowded = {layer: n for layer, n in sorted(counts.items()) if 2 * n > n_heads}
    return [
        Note(
            f"The set holds {n} of the {n_heads} heads of layer {layer}, so that any set with as "
            f"many heads there shares at least {2 * n - n_heads} of them. The control is strict.",
            ROBUST,
        )
        for layer, n in crowded.items()
    ]


def _other_heads(results: Results) -> list[Note]:
    """Write the accuracy with all other heads of the window patched together."""
    rest = results.controls.runs.get("rest_of_window")
    if rest is None or rest.accuracy is None:
        return []
    return [
        Note(
            f"With all other heads of the window patched at once: accuracy {number(rest)}. A set "
            "without any of these heads could do more only if other heads work against it.",
            CONTROLS,
        )
    ]


def _recovered_fraction(sets: dict[str, dict[str, ChosenSet]]) -> Interval | None:
    """Return the fraction of the gap that the head set recovers in the wording of its choice."""
    search = sets.get("search", {})
    return search["heads"].scored["default"].recovered if search else None


def _best_minus_control(widths: dict[int, Size], best: Window | None) -> Interval | None:
    """Return the accuracy of the best window minus its control, for the size nearest to `best`."""
    if not widths or best is None:
        return None
    n_layers = len(_span(best))
    size = min(widths, key=lambda size: (abs(size - n_layers), size))
    difference = widths[size].difference.get("best - control")
    return difference.accuracy if difference else None


def _best_by_size(widths: dict[int, Size]) -> Table:
    """Tabulate the accuracy with the best window of each size patched."""
    rows: list[tuple[str, ...]] = [
        (words.plural(size, "layer"), words.layers(of.best), number(of.best.report[ALL]))
        for size, of in sorted(widths.items())
    ]
    title = "Best window of each size: the highest P(correct) on the selection split"
    return Table(title, ("size", "window", "accuracy"), rows, WIDTHS)


def _as_accurate(windows: WindowsMetrics) -> list[Note]:
    """Name the windows that are as accurate as the best one where it was chosen."""
    if windows.best is None or not windows.as_accurate:
        return []
    size = len(_span(windows.best))
    others = ", ".join(
        words.layers(Window(first, first + size - 1)) for first in windows.as_accurate
    )
    return [
        Note(
            f"On the selection split, {others} have the same accuracy as "
            f"{words.layers(windows.best)}, which has the highest P(correct).",
            WINDOWS,
        )
    ]


def _fewest_heads(rules: dict[str, Smallest]) -> Table:
    """Tabulate the fewest heads that are enough, in the order of each rule."""
    rows: list[tuple[str, ...]] = [
        (
            names.rule(rule),
            "none" if least.n_heads is None else str(least.n_heads),
            number(Interval(least.accuracy, least.low, least.high, least.n or 0)),
        )
        for rule, least in rules.items()
    ]
    title = (
        "Fewest heads that restore honesty on the selection split (accuracy within "
        "`set_sizes.within` of the source run's), by the rule that orders them, and accuracy with "
        f"these heads patched. {RULES}"
    )
    return Table(title, ("rule", "heads", "accuracy"), rows, SIZES)


def _inside(layer: int | None, where: Window) -> bool | None:
    """Say whether a layer is in a window; None without a layer."""
    return None if layer is None else layer in _span(where)


def _span(window: Window) -> range:
    """Return the layers of a window."""
    return range(window.first_layer, window.last_layer + 1)
