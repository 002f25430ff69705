"""Claims on a small set of heads, patched from one run into the other, beside other heads."""

from collections import Counter

from stages.lib import names
from stages.lib.claim import (
    FEW,
    Check,
    Claim,
    Note,
    Table,
    above,
    among,
    below,
    number,
    so,
    unlikely,
)
from stages.lib.stats import MARGIN, Interval
from stages.lib.stats.run_points import ALL
from stages.report import words
from stages.report.results import Results
from stages.robustness.metrics import ChosenSet
from stages.set_sizes.metrics import Rule, Smallest
from stages.transplant.metrics import Rank, Ranks

RULES = (
    "Single effects: each head patched alone. Attribution patching: single effects on log-odds, "
    "estimated by gradient. Retested: the top tenth of these estimates, or of their absolute "
    "values, patched head by head. Leaving out: what is lost without the head. Greedy: the head "
    "that adds most to the heads before it. Margin: P(right answer) minus P(wrong answer)"
)
TRANSPLANT, SIZES, CONTROLS, ROBUST = "transplant", "set_sizes", "controls", "robustness"


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
            f"accuracy as `{base}` with the set patched minus unpatched (paired)",
            runs.effect["patched - base"].accuracy,
            0.0,
            TRANSPLANT,
        ),
        above(
            f"fraction of the gap in P(correct) between `{source}` and `{base}` that the set "
            "recovers",
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
        Note(f"Rules that order heads, in the table of fewest heads. {RULES}."),
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
            "accuracy with the set patched minus accuracy with all other heads of its layers "
            f"patched ({n_rest or 'none'})",
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
                f"Mean accuracy by number of shared heads: {shared}.",
                TRANSPLANT,
            )
        )
    return Claim(
        "Is it these heads, rather than any of the same layers?",
        "The set undoes more of the lie than the other heads of its layers do, and more than "
        "random sets with as many heads in each of these layers.",
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
            f"accuracy as `{source}` with the set patched minus unpatched (paired)",
            runs.effect["reverse - source"].accuracy,
            0.0,
            TRANSPLANT,
        ),
        below(
            f"accuracy as `{source}` with the set patched minus accuracy with the other heads of "
            "the window patched",
            results.controls.reverse_minus_rest.get("accuracy"),
            0.0,
            CONTROLS,
        ),
    ]
    note = f"Accuracy patched, by label: {words.labels(runs.by_label.get('reverse'))}."
    return Claim(
        "Do the same heads make the honest run lie?",
        f"z of the set, patched from `{base}` into `{source}`, makes the answers wrong, and the "
        "other heads of the window do not.",
        checks,
        notes=[Note(note, TRANSPLANT)],
    )


def _members(results: Results) -> list[Note]:
    """Name the heads of the set, the statements that it is scored on, and why it is no smaller."""
    search = results.robustness.sets.get("search", {})
    if "heads" not in search or not search["heads"].heads:
        return []
    n = results.transplant.by_topic[ALL]["patched"].n
    known = results.behaviour.known_report
    every = max((of.accuracy.n for of in known.values()), default=0)
    of_all = f"{n} of the {every} known" if every > n else f"all {n} known"
    return [
        Note(
            f"The set, as layer.head: {words.heads(search['heads'].heads)}. On the selection "
            "split, the search adds heads of the best window until the set keeps the share "
            "`heads.keep` of the window's gain in P(correct).",
            ROBUST,
        ),
        *_smaller_set(results, len(search["heads"].heads)),
        Note(
            f"The set is scored on {of_all} statements of the report split: at most "
            "`transplant.limit` per topic.",
            TRANSPLANT,
        ),
    ]


def _smaller_set(results: Results, n_heads: int) -> list[Note]:
    """Say how many heads are enough if accuracy alone counts, where they are fewer."""
    rule = results.set_sizes.rules.get("greedy_p_correct")
    fewest = rule.smallest.n_heads if isinstance(rule, Rule) else None
    if fewest is None or fewest >= n_heads:
        return []
    return [
        Note(
            "Accuracy alone needs fewer heads: the set of another greedy search on P(correct) "
            f"reaches the accuracy of the honest run with {words.plural(fewest, 'head')}.",
            SIZES,
        )
    ]


def _shared_heads(results: Results) -> list[Note]:
    """Say how many heads any set with as many heads in each layer must share with the set."""
    search = results.robustness.sets.get("search", {})
    window = results.robustness.window
    if "heads" not in search or window is None:
        return []
    n_heads = results.robustness.n_candidates // len(window.layers)
    counts = Counter(head.layer for head in search["heads"].heads)
    crowded = {layer: n for layer, n in sorted(counts.items()) if 2 * n > n_heads}
    return [
        Note(
            f"The set holds {n} of the {n_heads} heads of layer {layer}, so any set with as many "
            f"heads in this layer shares at least {2 * n - n_heads} of them. The control is "
            "strict.",
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
            f"With all other heads of the window patched together, accuracy is {number(rest)}.",
            CONTROLS,
        )
    ]


def _random(control: Ranks, where: str) -> Check:
    """Check how often random sets do as well, by accuracy or P(correct), whichever is larger."""
    measures = f"random sets of equal size {where} that are at most {MARGIN:.2f} below the set"
    ranks = {"accuracy": control.accuracy, "P(correct)": control.p_correct}
    counts = {name: _as_good(rank) for name, rank in ranks.items() if rank.own is not None}
    chance_by_measure = (among(count, ranks[name].n_sets) for name, count in counts.items())
    chances = [chance for chance in chance_by_measure if chance]
    says = "; ".join(
        f"by {name} {counts[name]} of {rank.n_sets} sets, {words.ends(rank.as_good)}"
        for name, rank in ranks.items()
        if name in counts
    )
    worst = max(chances, key=lambda chance: chance.p, default=None)  # both must be supported
    return unlikely(measures, says or "not measured", worst, TRANSPLANT, f"share below {FEW}")


def _as_good(rank: Rank) -> int:
    """Count random sets that are as good as the head set."""
    return round((rank.as_good.value or 0) * rank.n_sets)


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


def _fewest_heads(rules: dict[str, Smallest]) -> Table:
    """Tabulate the fewest heads that are enough, in the order of each rule."""
    rows: list[tuple[str, ...]] = [
        (
            names.rule(rule).replace("p_correct", "P(correct)"),
            "none" if least.n_heads is None else str(least.n_heads),
            number(Interval(least.accuracy, least.low, least.high, least.n or 0)),
        )
        for rule, least in rules.items()
    ]
    title = (
        "Fewest heads that are enough on the selection split (accuracy within `set_sizes.within` "
        "of the source run's), by the rule that orders heads, and accuracy with these heads "
        "patched on the report split"
    )
    return Table(title, ("rule", "heads", "accuracy"), rows, SIZES)


def _recovered_fraction(sets: dict[str, dict[str, ChosenSet]]) -> Interval | None:
    """Return the fraction of the gap that the head set recovers in the wording of its choice."""
    search = sets.get("search", {})
    return search["heads"].scored["default"].recovered if search else None
