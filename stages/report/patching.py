"""Claims of what happens when activations of one run are written into the other."""

from stages.ground_truth.metrics import PlantedMetrics
from stages.lib.claim import LEVEL, Check, Claim, above, below, least, not_below, number
from stages.lib.stats import Interval
from stages.lib.stats.run_points import ALL
from stages.lib.stats.windows import Window
from stages.report.results import Results
from stages.robustness.metrics import ChosenSet
from stages.set_sizes.metrics import Rule, Smallest
from stages.transplant.metrics import Ranks
from stages.widths.metrics import Size, WindowPoints


def window(results: Results, source: str, base: str) -> Claim:
    """A few consecutive layers carry the lie."""
    windows = results.windows
    best, runs = windows.best, windows.runs["report"]
    where = "the best window" if best is None else f"layers {_layers(best)}"
    patched = runs.get("patched")
    checks = [
        Check(
            above(patched, 0.5),
            f"z of all heads in {where}, chosen on other statements, written from `{source}` into "
            f"`{base}`: right on {number(patched)}.",
        ),
        Check(
            above(patched, runs["base"].high),
            f"Without it: {number(runs['base'])}; `{source}` itself: {number(runs['source'])}.",
        ),
    ]
    widths = {int(size): entry for size, entry in results.widths.patched.items()}
    gap = _control(widths, best)
    sentence = "The median of the windows without a layer of the best one, of the size nearest to "
    sentence += f"it, does less: accuracy of best minus control {number(gap)}."
    checks.append(Check(above(gap, 0), sentence))
    notes = [_width(size, widths[size].best) for size in sorted(widths)]
    title = "A few consecutive layers carry the lie"
    return Claim(title, checks, ("windows.png", "widths.png"), notes=notes)


def few_heads(results: Results, source: str, base: str) -> Claim:
    """A small set of heads carries it, and not the layers that it is not in."""
    heads, runs = results.heads, results.transplant
    every = runs.by_topic[ALL]
    gain = runs.effect["patched - base"].accuracy
    share = heads.share_of_all_heads
    size = "no set" if share is None else f"{heads.n_heads} heads ({share:.1%} of all)"
    candidates = results.robustness.n_candidates
    recovered = _recovered(results.robustness.sets)
    checks = [
        Check(
            heads.n_heads < candidates if heads.n_heads and candidates else None,
            f"The set is smaller than the window: {size}, the window has {candidates}.",
        ),
        Check(
            above(every["patched"], 0.5),
            f"z of {size}, chosen on other statements, written from `{source}` into `{base}`: "
            f"right on {number(every['patched'])}; `{source}` itself: "
            f"{number(every['source'])}.",
        ),
        Check(above(gain, 0), f"That is a gain, statement by statement, of {number(gain)}."),
        Check(
            above(recovered, 0.5),
            "Of the truth that the source run has above the base run, the set restores more than "
            f"half: {number(recovered)}.",
        ),
        *_random(runs.elsewhere, "from the other layers"),
    ]
    rules = results.set_sizes.rules
    notes = [_smallest(name, of.smallest) for name, of in rules.items() if isinstance(of, Rule)]
    figures = ("transplant.png", "heads.png", "set_sizes.png")
    return Claim("A small set of heads carries it", checks, figures, notes=notes)


def these_heads(results: Results, source: str, base: str) -> Claim:
    """It is these heads, and not just any of the same layers."""
    checks = _random(results.transplant.random, "in the very same layers")
    return Claim("These heads do it, rather than any of the same layers", checks)


def reverse(results: Results, source: str, base: str) -> Claim:
    """The same heads make the honest run lie."""
    runs = results.transplant
    after = runs.by_topic[ALL]["reverse"]
    loss = runs.effect["reverse - source"].accuracy
    rest = results.controls.reverse_minus_rest.get("accuracy")
    checks = [
        Check(
            below(after, 0.5),
            f"The heads' z of `{base}` written into `{source}`: right on {number(after)}.",
        ),
        Check(below(loss, 0), f"That is a change, statement by statement, of {number(loss)}."),
        Check(
            below(rest, 0),
            f"The other heads of the window do not do it: the set minus the rest {number(rest)}.",
        ),
    ]
    return Claim("The same heads make the honest run lie", checks)


def planted(results: Results) -> Claim | None:
    """What was found is what was planted; None for a model that is no organism."""
    scores = results.ground_truth
    if not isinstance(scores, PlantedMetrics) or scores.planted is None:
        return None
    where, heads, chosen = scores.planted, scores.heads, scores.set
    overlap, by_chance = scores.window.overlap, scores.window.by_chance
    checks = [
        Check(
            None if overlap is None or by_chance is None else overlap > by_chance,
            "The best window, chosen on the selection split, overlaps the planted layers "
            "(intersection over union): "
            f"{_plain(overlap)}, by chance {_plain(by_chance)}.",
        ),
        Check(
            above(heads.share, heads.share_by_chance),
            "Of what single heads gain, on the selection split, planted layers have more than "
            "their share: "
            f"{number(heads.share)} statements, by chance {_plain(heads.share_by_chance)}.",
        ),
        Check(
            above(heads.auroc, 0.5),
            f"Planted heads gain more than others: AUROC {number(heads.auroc)} statements.",
        ),
        Check(
            _within(scores.parting_layer, where),
            "Honest and liar truth directions part in a planted layer: layer "
            f"{scores.parting_layer}.",
        ),
    ]
    note = (
        f"{chosen.n_planted} of the set's {chosen.n_heads} heads are in planted layers "
        f"(by chance {_plain(chosen.by_chance)} of them)."
    )
    title = f"It is found where it was planted (layers {_layers(where)})"
    return Claim(title, checks, ("ground_truth.png",), notes=[note])


def attribution_patching(results: Results) -> Claim:
    """Gradients foretell which heads matter."""
    score = results.attribution_patching
    top = score.top
    checks = [
        Check(
            above(score.rank_correlation, 0),
            "Over all heads, on the selection split, estimated and true effect have a rank "
            f"correlation of {number(score.rank_correlation)} statements, "
            f"{score.n_heads} heads.",
        ),
        Check(
            above(top, top.by_chance),
            f"Of the top tenth by true effect, the estimate finds {number(top)} statements, by "
            f"chance {_plain(top.by_chance)}.",
        ),
    ]
    rule = results.set_sizes.rules.get("estimate")
    area = rule.up["difference"]["auc_log"] if isinstance(rule, Rule) else None
    checks.append(
        Check(
            not_below(area, 0),
            "Sets in the order of the estimate restore as much as sets in the order of the true "
            "effects, on the report split (area under p_correct by the logarithm of the number of "
            f"heads, estimate minus true: {number(area)}).",
        )
    )
    title = "Gradients foretell which heads matter"
    return Claim(title, checks, ("attribution_patching.png",))


def _recovered(sets: dict[str, dict[str, ChosenSet]]) -> Interval | None:
    """What the set that the search found restores, in the wording that it was found in."""
    search = sets.get("search", {})
    return search["heads"].scored["default"].recovered if search else None


def _control(widths: dict[int, Size], best: Window | None) -> Interval | None:
    """What the best window has over its control, of the size nearest to the window's."""
    if not widths or best is None:
        return None
    n_layers = best.last_layer - best.first_layer + 1
    size = min(widths, key=lambda size: (abs(size - n_layers), size))
    difference = widths[size].difference.get("best - control")
    return difference.accuracy if difference else None


def _width(size: int, best: WindowPoints) -> str:
    """Write what the best window of a size does."""
    what = f"layer {best.first_layer}" if size == 1 else f"layers {_layers(best)}"
    return (
        f"Of {size} {'layer' if size == 1 else 'layers'}, the best window is {what}: right on "
        f"{number(best.report[ALL])}."
    )


def _smallest(rule: str, least: Smallest) -> str:
    """Write how few heads are enough in a rule's order."""
    if least.n_heads is None:
        return f"Heads in the order of rule `{rule}`: no set was needed, or none was enough."
    accuracy = Interval(least.accuracy, least.low, least.high, least.n or 0)
    return (
        f"Heads in the order of rule `{rule}`: {least.n_heads} ({least.share:.1%} of all) are "
        f"enough on the selection split; on the report split right on {number(accuracy)}."
    )


def _random(control: Ranks, where: str) -> list[Check]:
    """How the set stands among random ones, by truth, which it was chosen by, and by accuracy."""
    checks = []
    for measure, rank in (("p_correct", control.p_correct), ("accuracy", control.accuracy)):
        says = "not measured"
        if rank.p_value is not None:
            says = (
                f"{measure} {rank.mean:.3f} on average over {rank.n_sets} sets and "
                f"{rank.max:.3f} at most; the set has {rank.own:.3f} on the same statements, a "
                f"lead of {number(rank.lead)}; p = {rank.p_value:.3f} ({rank.n_sets} sets cannot "
                f"give less than {rank.p_least:.3f})"
            )
        sentence = f"Random sets of as many heads {where} do less: {says}."
        enough = rank.p_least is not None and rank.p_least < LEVEL  # else nothing can be shown
        checks.append(Check(least(rank.p_value, LEVEL) if enough else None, sentence))
    return checks


def _within(layer: int | None, where: Window) -> bool | None:
    """Whether a layer is one of the planted ones."""
    return None if layer is None else where.first_layer <= layer <= where.last_layer


def _layers(window: Window | WindowPoints) -> str:
    """Write a range of layers."""
    return f"{window.first_layer}-{window.last_layer}"


def _plain(value: float | None) -> str:
    """Write a number that has no interval."""
    return "not measured" if value is None else f"{value:.2f}"
