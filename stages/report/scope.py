"""Claims on how a head set generalises (topics, wordings, positions), and on what it carries."""

from stages.lib import names
from stages.lib.claim import Claim, Note, Table, above, alike, no_worse, number
from stages.lib.results import markdown
from stages.lib.stats.run_points import ByLabel
from stages.positions.metrics import BlockPoint, PositionsMetrics
from stages.report import words
from stages.report.results import Results
from stages.robustness.metrics import ChosenSet, Overlap, ShuffledOverlap

ROBUST, CONTROLS, POSITIONS = "robustness", "controls", "positions"


def topics(results: Results) -> Claim:
    """Heads chosen on one topic work on other topics."""
    return _generalises(results, "topic", results.robustness.overlap.topic, ("robustness.png",))


def wordings(results: Results) -> Claim:
    """Heads chosen on one wording work in other wordings."""
    return _generalises(results, "wording", results.robustness.overlap.wording)


def honesty(results: Results, source: str, base: str) -> Claim:
    """The heads carry whether to lie, not what is true of the statement."""
    controls = results.controls
    runs, gaps = controls.runs, controls.patched_minus

    others = {
        "mean_ablation_selection": "mean z of other statements",
        "same_label": "z of another statement of the same label",
        "other_label": "z of another statement of the opposite label",
    }
    checks = [
        alike(
            f"{measure} with a statement's own z minus {measure} with {other}",
            getattr(gaps[run], key) if run in gaps else None,
            CONTROLS,
        )
        for measure, key in (("accuracy", "accuracy"), ("P(correct)", "p_correct"))
        for run, other in others.items()
    ]
    checks.append(
        above(
            "accuracy with the set patched minus accuracy with the other heads of the window "
            "patched",
            gaps["rest_of_window"].accuracy if "rest_of_window" in gaps else None,
            0.0,
            CONTROLS,
        )
    )
    donors = {
        "the statement's own": "patched",
        "mean of other statements": "mean_ablation_selection",
        "another statement of the same label": "same_label",
        "another statement of the opposite label": "other_label",
        f"another statement of the opposite label, `{base}` run": "base_other_label",
    }
    table = Table(
        f"Accuracy as `{base}` with z of the head set patched, by the statement that z is from. z "
        f"is from the `{source}` run unless another run is named",
        ("source of z", "accuracy", "on true statements", "on false statements"),
        [
            (donor, number(runs[run]), *words.by_label(controls.by_label.get(run)))
            for donor, run in donors.items()
            if run in runs
        ],
        CONTROLS,
    )
    other = controls.by_label.get("other_label")
    return Claim(
        "Do the heads carry whether to lie, and nothing of what is true?",
        f"z of any other statement of the `{source}` run undoes the lie as well as the statement's "
        "own, whatever its label.",
        checks,
        ("controls.png",),
        notes=[Note(note, CONTROLS) for note in _answers_true(other)],
        tables=[table],
    )


def _answers_true(both: ByLabel | None) -> list[str]:
    """Write the answers with z of the opposite label, beside what two hypotheses predict."""
    if both is None or both.true.value is None or both.false.value is None:
        return []
    true, false = both.true, both.false
    n = true.n + false.n
    share = (both.true.value * true.n + (1 - both.false.value) * false.n) / n
    return [
        f"With z of a statement of the opposite label, {share:.3f} of the answers are the word "
        f"true (n = {n}). If z carried only whether to lie, accuracy would be the same as with own "
        "z. If z carried the answer, accuracy would be 0."
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
    notes = [f"Unpatched: {number(unpatched)}.", *_redundant(positions)]
    return Claim(
        "Is the end of the prompt enough?",
        f"z patched at {where} of the prompt alone brings the right answers back.",
        checks,
        ("positions.png",),
        notes=[Note(note, POSITIONS) for note in notes],
        tables=[_blocks(positions)],
    )


def _generalises(
    results: Results, what: str, overlap: Overlap | None, figures: tuple[str, ...] = ()
) -> Claim:
    """Claim that sets chosen on one topic or wording work on every other."""
    robust = results.robustness
    score = robust.generalisation[what]
    n_sets = f"{words.plural(score.n_sets, 'set')} of heads of the best window"
    checks = [
        above(
            f"fraction of the gap in P(correct) recovered on other {what}s ({n_sets})",
            score.off_diagonal,
            0.5,
            ROBUST,
        ),
        no_worse(
            f"fraction of the gap in P(correct) recovered on other {what}s minus on the {what} "
            "that a set was chosen on",
            score.difference,
            ROBUST,
        ),
    ]
    sets = robust.sets.get(what, {})
    notes = [*_sets_that_work(sets, what), *_set_overlap(overlap, what, robust.overlap_by_chance)]
    return Claim(
        f"Do heads chosen on one {what} work on other {what}s?",
        f"Sets chosen on one {what} recover more than half of the gap on other {what}s, and as "
        "much as on their own.",
        checks,
        figures,
        notes=[Note(note, ROBUST) for note in notes],
        tables=[_failing_sets(sets, what)],
    )


def _blocks(positions: PositionsMetrics) -> Table:
    """Tabulate the accuracy with each block of the prompt patched alone, and left out."""
    rows: list[tuple[str, ...]] = []
    for name, runs in positions.blocks.items():
        points = {run: point for run, point in runs.items() if isinstance(point, BlockPoint)}
        alone = points["alone"]
        if name != "all" and alone.n:
            rows.append(
                (
                    names.block(name),
                    f"{alone.positions:.3g}",
                    number(alone),
                    number(points.get("left_out")),
                    number(points.get("elsewhere")),
                )
            )
    title = (
        f"Accuracy as `{positions.base}` with z of the best window patched at one block of the "
        "prompt, at all positions outside the block, and at as many random positions outside the "
        "block. Many random positions often include a block that is enough alone: such a draw can "
        "do better than the named block"
    )
    head = ("block", "positions", "the block alone", "all but the block", "random positions")
    return Table(title, head, rows, POSITIONS)


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
    return [
        "Blocks that are enough alone (the whole interval of accuracy is above 0.5): "
        f"{words.joined(enough)}.",
        "Blocks that are needed (with every other block patched, the whole interval is below 0.5): "
        f"{words.joined(needed)}.",
    ]


def _sets_that_work(sets: dict[str, ChosenSet], what: str) -> list[str]:
    """Write how many sets, each chosen on one topic or wording, work in every wording."""
    if not sets:
        return []
    n_works = sum(map(_works, sets.values()))
    return [
        f"{n_works} of {words.plural(len(sets), 'set')} chosen on one {what} work in every wording "
        "(whole interval of accuracy above 0.5)."
    ]


def _failing_sets(sets: dict[str, ChosenSet], what: str) -> Table:
    """Tabulate the accuracy of the sets that do not work in every wording."""
    rows = [
        (
            markdown.text(name),
            _accuracies(head_set),
            *words.by_label(default.by_label if default else None),
        )
        for name, head_set in sorted(sets.items())
        if not _works(head_set)
        for default in [head_set.scored.get("default")]  # the wording of section `prompt`
    ]
    title = (
        "Sets that do not work in every wording: lowest and highest accuracy over the wordings, "
        "and accuracy by label in the default wording. A constant answer has an accuracy of 0.5: "
        "1 on one label, 0 on the other"
    )
    head = (
        f"{what} that the set was chosen on",
        "accuracy",
        "on true statements",
        "on false statements",
    )
    return Table(title, head, rows, ROBUST)


def _works(head_set: ChosenSet) -> bool:
    """Whether accuracy with a set patched is above 0.5 in every wording, with its interval."""
    return all(row.low is not None and row.low > 0.5 for row in head_set.scored.values())


def _accuracies(head_set: ChosenSet) -> str:
    """Write the least and the greatest accuracy of a set over all wordings."""
    rates = [row.accuracy for row in head_set.scored.values() if row.accuracy is not None]
    ends = dict.fromkeys(f"{rate:.3f}" for rate in (min(rates), max(rates))) if rates else {}
    return " to ".join(ends) or "not measured"


def _set_overlap(overlap: Overlap | None, what: str, by_chance: float | None) -> list[str]:
    """Write the overlap of sets, beside random sets and sets of permuted topic labels."""
    if overlap is None or overlap.mean is None:
        return []
    summary = (
        f"Two sets of different {what}s share {words.plain(overlap.mean, 2)} of their heads on "
        f"average (Jaccard; {words.plural(overlap.n_pairs, 'pair')}, {words.plain(overlap.min, 2)} "
        f"to {words.plain(overlap.max, 2)}; random sets {words.plain(by_chance, 2)})"
    )
    shuffled = overlap.shuffled if isinstance(overlap, ShuffledOverlap) else None
    if shuffled is None or shuffled.mean is None:
        return [f"{summary}."]
    return [
        f"{summary}. With topic labels permuted the mean is {shuffled.mean:.2f} (p = "
        f"{shuffled.p_value:.3f} for sharing less than with permuted labels; "
        f"{words.plural(shuffled.n_shuffles, 'permutation')})."
    ]
