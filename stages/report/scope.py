"""Claims on how a head set generalises (topics, wordings, positions), and on what it carries."""

from stages.lib import names
from stages.lib.claim import Claim, Note, above, alike, no_worse, number
from stages.lib.io import markdown
from stages.lib.stats.run_points import ByLabel
from stages.positions.metrics import BlockPoint, PositionsMetrics
from stages.report import words
from stages.report.results import Results
from stages.robustness.metrics import ChosenSet, Overlap, ShuffledOverlap

ROBUST, CONTROLS, POSITIONS = "robustness", "controls", "positions"


def topics(results: Results) -> Claim:
    """Heads chosen on one topic work on other topics."""
    return _elsewhere(results, "topic", results.robustness.overlap.topic, ("robustness.png",))


def wordings(results: Results) -> Claim:
    """Heads chosen on one wording work in other wordings."""
    return _elsewhere(results, "wording", results.robustness.overlap.wording)


def honesty(results: Results, source: str, base: str) -> Claim:
    """The heads carry whether to lie, not what is true of the statement."""
    controls = results.controls
    runs, gaps = controls.runs, controls.patched_minus

    def gap(run: str):
        """Accuracy of a statement's own z minus that of another one."""
        return gaps[run].accuracy if run in gaps else None

    checks = [
        alike(
            "accuracy with a statement's own z minus with the mean of z over other statements",
            gap("mean_ablation_selection"),
            CONTROLS,
        ),
        alike(
            "accuracy with own z minus with z of another statement of the same label",
            gap("same_label"),
            CONTROLS,
        ),
        alike(
            "accuracy with own z minus with z of another statement of the opposite label",
            gap("other_label"),
            CONTROLS,
        ),
        above(
            "accuracy with the set patched minus with the other heads of the window",
            gap("rest_of_window"),
            0.0,
            CONTROLS,
        ),
    ]
    named = {
        "own z": "patched",
        "mean of z": "mean_ablation_selection",
        "z of a statement of the same label": "same_label",
        "z of a statement of the opposite label": "other_label",
        "z of the lying run of a statement of the opposite label": "base_other_label",
    }
    notes = [
        f"With {what}: accuracy {number(runs[run])} ({words.labels(controls.by_label.get(run))})."
        for what, run in named.items()
        if run in runs
    ]
    if (other := controls.by_label.get("other_label")) is not None:
        notes += _answers_true(other)
    return Claim(
        "Do the heads carry whether to lie, and nothing of what is true?",
        f"z of any other statement of the `{source}` run undoes the lie as well as the statement's "
        "own, whatever its label.",
        checks,
        ("controls.png",),
        notes=[Note(note, CONTROLS) for note in notes],
    )


def _answers_true(both: ByLabel) -> list[str]:
    """Say what the answers with z of the opposite label are, beside what two ideas predict."""
    true, false = both.true, both.false
    if true.value is None or false.value is None:
        return []
    n = true.n + false.n
    share = (true.value * true.n + (1 - false.value) * false.n) / n
    return [
        f"With z of a statement of the opposite label, {share:.3f} of the answers are the word "
        f"true (n = {n}). Were z to carry only whether to lie, accuracy would be that with own z; "
        "were z to carry the answer, it would be 0."
    ]


def last_position(results: Results, source: str, base: str) -> Claim:
    """The last prompt token alone is enough."""
    positions = results.positions
    window = positions.counts.get("window", {})
    fewest = min(window, key=int) if window else None
    count = "positions" if fewest is None else f"{fewest} positions"
    where = "the last position" if fewest == "1" else f"the last {count}"
    checks = [
        above(
            f"accuracy as `{base}` with z of the best window patched at {where}",
            window[fewest] if fewest else None,
            0.5,
            POSITIONS,
        ),
    ]
    unpatched = positions.unpatched["counts"].base
    notes = [f"Unpatched: {number(unpatched)}.", *_redundant(positions), *_blocks(positions)]
    return Claim(
        "Is the end of the prompt enough?",
        f"z patched at {where} of the prompt alone brings the right answers back.",
        checks,
        ("positions.png",),
        notes=[Note(note, POSITIONS) for note in notes],
    )


def _elsewhere(
    results: Results, what: str, overlap: Overlap | None, figures: tuple[str, ...] = ()
) -> Claim:
    """Sets chosen on one topic or wording, scored on every other."""
    robust = results.robustness
    score = robust.generalisation[what]
    sets = f"{words.plural(score.n_sets, 'set')} of heads of the best window"
    checks = [
        above(
            f"fraction of the gap in P(correct) recovered on other {what}s ({sets})",
            score.off_diagonal,
            0.5,
            ROBUST,
        ),
        no_worse(
            f"that fraction, other {what}s minus the {what} that a set was chosen on",
            score.difference,
            ROBUST,
        ),
    ]
    notes = [*_each(robust.sets.get(what, {}), what)]
    notes += _shared(overlap, what, robust.overlap_by_chance)
    return Claim(
        f"Do heads chosen on one {what} work on other {what}s?",
        f"Sets chosen on one {what} recover more than half of the gap on other {what}s, and as "
        "much as on their own.",
        checks,
        figures,
        notes=[Note(note, ROBUST) for note in notes],
    )


def _blocks(positions: PositionsMetrics) -> list[str]:
    """Write the accuracy with each block of the prompt patched alone, and left out."""
    notes = []
    for name, runs in positions.blocks.items():
        points = {run: point for run, point in runs.items() if isinstance(point, BlockPoint)}
        alone = points["alone"]
        if name != "all" and alone.n:
            random = points.get("elsewhere")
            notes.append(
                f"Patched at the {names.block(name)} alone ({alone.positions:.3g} positions): "
                f"accuracy {number(alone)}; everywhere but there: {number(points.get('left_out'))}"
                + (f"; at as many random positions elsewhere: {number(random)}." if random else ".")
            )
    return notes


def _redundant(positions: PositionsMetrics) -> list[str]:
    """Say which blocks are enough alone, and whether any is needed."""
    enough, needed, measured = [], [], False
    for name, runs in positions.blocks.items():
        alone, left_out = runs.get("alone"), runs.get("left_out")
        if name == "all" or not isinstance(alone, BlockPoint) or alone.low is None:
            continue
        if alone.low > 0.5:
            enough.append(names.block(name))
        if isinstance(left_out, BlockPoint) and left_out.high is not None:
            measured = True
            if left_out.high < 0.5:
                needed.append(names.block(name))
    if not measured:
        return []
    both = " Places that are enough alone are redundant." if len(enough) > 1 else ""
    return [
        f"Enough alone (accuracy above 0.5, with its interval): {words.joined(enough)}. Needed "
        f"(accuracy below 0.5 with all places patched but this one): {words.joined(needed)}.{both}"
    ]


def _each(sets: dict[str, ChosenSet], what: str) -> list[str]:
    """Write how many sets restore the truth on their own topic or wording."""
    if not sets:
        return []
    works = {
        name: all(row.low is not None and row.low > 0.5 for row in one.scored.values())
        for name, one in sets.items()
    }
    failed = sorted(name for name in works if not works[name])
    says = (
        f"{sum(works.values())} of {words.plural(len(works), 'set')} chosen on one {what} restore "
        "the truth in every wording: their accuracy is above 0.5, with its interval."
    )
    if not failed:
        return [says]
    listed = "; ".join(f"{markdown.text(name)} {_accuracies(sets[name])}" for name in failed)
    return [
        f"{says} Accuracy of the other sets, by the {what} that they were chosen on: {listed}. One "
        "word as the answer to every statement has an accuracy of 0.5: 1 on one label, 0 on the "
        "other."
    ]


def _accuracies(chosen: ChosenSet) -> str:
    """Write the accuracy of a set in all wordings, and by label in the default one."""
    rates = [row.accuracy for row in chosen.scored.values() if row.accuracy is not None]
    ends = dict.fromkeys(f"{rate:.3f}" for rate in (min(rates), max(rates))) if rates else {}
    said = " to ".join(ends) or "not measured"
    own = chosen.scored.get("default")  # the wording of section `prompt`
    return f"{said} (in the default wording: {words.labels(own.by_label)})" if own else said


def _shared(overlap: Overlap | None, what: str, by_chance: float | None) -> list[str]:
    """Write the overlap of sets, beside that of sets from random draws of statements."""
    if overlap is None or overlap.mean is None:
        return []
    said = (
        f"Two sets of different {what}s share {words.plain(overlap.mean, 2)} of their heads on "
        f"average (Jaccard; {words.plural(overlap.n_pairs, 'pair')}, {words.plain(overlap.min, 2)} "
        f"to {words.plain(overlap.max, 2)}; random sets {words.plain(by_chance, 2)})"
    )
    shuffled = overlap.shuffled if isinstance(overlap, ShuffledOverlap) else None
    if shuffled is None or shuffled.mean is None:
        return [f"{said}."]
    return [
        f"{said}; with topic labels permuted {shuffled.mean:.2f} (p = {shuffled.p_value:.3f} that "
        f"{what}s share less than that, {words.plural(shuffled.n_shuffles, 'permutation')})."
    ]
