"""Claims of how far a head set carries: other topics and wordings, positions, what it moves."""

from stages.lib.claim import Check, Claim, above, below, not_above, not_below, number
from stages.lib.io import markdown
from stages.positions.metrics import BlockPoint, PositionsMetrics
from stages.report.results import Results
from stages.robustness.metrics import ChosenSet, Overlap, ShuffledOverlap


def elsewhere(results: Results, source: str, base: str) -> Claim:
    """Heads that were chosen on one topic or wording work on the others."""
    robust = results.robustness
    checks, notes = [], []
    for kind, what, overlap in (
        ("topic", "topic", robust.overlap.topic),
        ("wording", "wording", robust.overlap.wording),
    ):
        score = robust.generalisation[kind]
        others, difference = score.off_diagonal, score.difference
        checks += [
            Check(
                above(others, 0.5),
                f"Sets chosen on one {what}, among the heads of the best window, and scored on the "
                f"others restore of what the source adds {number(others)} "
                f"({score.n_sets} sets).",
            ),
            Check(
                not_below(difference, 0),
                f"On other {what}s they do as well as on the one they were chosen on, as far as "
                f"these statements tell: others minus own {number(difference)}.",
            ),
            _each(robust.sets.get(kind, {}), what),
        ]
        notes += _shared(overlap, what, robust.overlap_by_chance)
    title = "Heads that were chosen on one topic or wording work on the others"
    return Claim(title, checks, ("robustness.png",), notes=notes)


def honesty(results: Results, source: str, base: str) -> Claim:
    """The heads carry whether to lie, not what is true of the statement."""
    controls = results.controls
    runs = controls.runs
    mean, rest = (
        controls.patched_minus[run].accuracy if run in controls.patched_minus else None
        for run in ("mean_ablation_selection", "rest_of_window")
    )
    donor = controls.follows_donor.get("other_label")
    checks = [
        Check(
            not_above(mean, 0.0),
            "The mean of z over other statements does as well as a statement's own, as far as "
            "these statements tell: right on "
            f"{number(runs.get('mean_ablation_selection'))}; own minus mean {number(mean)}.",
        ),
        Check(
            below(donor, 0.5),
            "With z of another statement whose label is the other one, the answer is still about "
            f"the statement itself: the donor's label is answered in {number(donor)}.",
        ),
        Check(
            above(rest, 0.0),
            f"The other heads of the window do not do it: the set minus the rest {number(rest)}.",
        ),
    ]
    notes = [
        "With z of another statement of the same label: right on "
        f"{number(runs.get('same_label'))}; with z of a lying run of one with the "
        f"other label: {number(runs.get('base_other_label'))}."
    ]
    title = "The heads carry whether to lie, and not what is true"
    return Claim(title, checks, ("controls.png",), notes=notes)


def last_position(results: Results, source: str, base: str) -> Claim:
    """The last prompt token alone is enough."""
    positions = results.positions
    window = positions.counts.get("window", {})
    fewest = window.get(min(window, key=int)) if window else None
    count = min(window, key=int) if window else "few"
    checks = [
        Check(
            above(fewest, 0.5),
            f"z of the best window written at the last {count} positions: right on "
            f"{number(fewest)}; without it "
            f"{number(positions.unpatched['counts'].base)}.",
        )
    ]
    title = "The end of the prompt is enough"
    return Claim(title, checks, ("positions.png",), notes=_blocks(positions))


def _blocks(positions: PositionsMetrics) -> list[str]:
    """Write what each block of the prompt does alone, and what the others do without it."""
    notes = []
    for name, runs in positions.blocks.items():
        points = {run: point for run, point in runs.items() if isinstance(point, BlockPoint)}
        alone = points["alone"]
        if name != "all" and alone.n:
            notes.append(
                f"Written at the {name} only ({alone.positions:.3g} positions): right on "
                f"{number(alone)}; everywhere but there: {number(points.get('left_out'))}."
            )
    return notes


def _each(sets: dict[str, ChosenSet], what: str) -> Check:
    """Whether every single set works, and not only most of them."""
    scored = {name: list(one.scored.values()) for name, one in sets.items()}
    works = {name: [above(row, 0.5) for row in rows] for name, rows in scored.items()}
    passed = [name for name, held in works.items() if all(held)]
    unmeasured = not works or any(value is None for held in works.values() for value in held)
    failed = sorted(set(works) - set(passed))
    return Check(
        None if unmeasured else not failed,
        f"Every set chosen on one {what} is right on more than half, in every wording: "
        f"{len(passed)} of {len(works)} are"
        + (f"; not {', '.join(map(markdown.text, failed))}." if failed else "."),
    )


def _shared(overlap: Overlap | None, what: str, by_chance: float | None) -> list[str]:
    """Write how much sets have in common, beside what draws of statements alone would do."""
    if overlap is None or overlap.mean is None:
        return []
    said = (
        f"Two sets of different {what}s share {overlap.mean:.2f} of their heads on average "
        f"(Jaccard; {overlap.n_pairs} pairs, {overlap.min:.2f} to {overlap.max:.2f}; sets "
        f"at random {by_chance:.2f})"
    )
    dealt = overlap.shuffled if isinstance(overlap, ShuffledOverlap) else None
    if dealt is None or dealt.mean is None:
        return [f"{said}."]
    return [
        f"{said}; with the statements dealt to {what}s at random {dealt.mean:.2f} "
        f"(that {what}s share less by chance alone: p = {dealt.p_value:.3f})."
    ]
