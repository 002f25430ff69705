"""Claims of how far a head set carries: other topics and wordings, positions, what it moves."""

from typing import Any

from stages.lib.report.claim import Check, Claim, above, below, holds, number

Metrics = dict[str, Any]  # by stage


def elsewhere(found: Metrics, source: str, base: str) -> Claim:
    """Heads that were chosen on one topic or wording work on the others."""
    robust = found["robustness"]
    checks, notes = [], []
    for kind, what in (("split", "topic"), ("wording", "wording")):
        score = robust["generalisation"][kind]
        checks += [
            Check(
                above(score["off_diagonal"], 0.5),
                f"Sets chosen on one {what} and scored on the others restore of what the source "
                f"adds {number(score['off_diagonal'])} ({score['n_sets']} sets).",
            ),
            Check(
                _not_below(score["difference"]),
                f"On the {what} that they were chosen on they do no better: the others minus it "
                f"{number(score['difference'])}.",
            ),
        ]
        overlap = robust["overlap"][kind]
        if overlap["mean"] is not None:
            notes.append(
                f"Two sets of different {what}s share {overlap['mean']:.2f} of their heads on "
                f"average (Jaccard; {overlap['n_pairs']} pairs, {overlap['min']:.2f} to "
                f"{overlap['max']:.2f}); by chance {robust['overlap_by_chance']:.2f}."
            )
    title = "Heads that were chosen on one topic or wording work on the others"
    return Claim(title, checks, ("robustness.png",), notes=notes)


def honesty(found: Metrics, source: str, base: str) -> Claim:
    """The heads carry whether to lie, not what is true of the statement."""
    controls = found["controls"]
    gaps, follows = controls["patched - control"], controls["follows_donor"]
    runs = controls["runs"]
    checks = [
        Check(
            holds(gaps["mean_selection"]["accuracy"], 0.0),
            "The mean of z over other statements does as well as a statement's own: right on "
            f"{number(runs['mean_selection'], 'accuracy')}; own minus mean "
            f"{number(gaps['mean_selection']['accuracy'])}.",
        ),
        Check(
            below(follows["other_label"], 0.5),
            "With z of another statement whose label is the other one, the answer is still about "
            f"the statement itself: the donor's label is answered in "
            f"{number(follows['other_label'])}.",
        ),
        Check(
            above(gaps["rest_of_window"]["accuracy"], 0.0),
            "The other heads of the window do not do it: the set minus the rest "
            f"{number(gaps['rest_of_window']['accuracy'])}.",
        ),
    ]
    notes = [
        "With z of another statement of the same label: right on "
        f"{number(runs['same_label'], 'accuracy')}; with z of a lying run of one with the other "
        f"label: {number(runs['base_other_label'], 'accuracy')}."
    ]
    title = "The heads carry whether to lie, and not what is true"
    return Claim(title, checks, ("controls.png",), notes=notes)


def last_position(found: Metrics, source: str, base: str) -> Claim:
    """The last prompt token alone is enough."""
    positions = found["positions"]
    window, blocks = positions["counts"]["window"], positions["blocks"]
    fewest = window.get(min(window, key=int)) if window else None
    count = min(window, key=int) if window else "few"
    checks = [
        Check(
            above(fewest, 0.5),
            f"z of the best window written at the last {count} positions: right on "
            f"{number(fewest, 'accuracy')}; without it "
            f"{number(positions['unpatched']['counts']['base'], 'accuracy')}.",
        )
    ]
    notes = [
        f"Written at the {name} only ({found_there['alone']['positions']:.3g} positions): right on "
        f"{number(found_there['alone'], 'accuracy')}; everywhere but there: "
        f"{number(found_there.get('left_out'), 'accuracy')}."
        for name, found_there in blocks.items()
        if name != "all" and found_there["alone"]["n"]
    ]
    title = "The end of the prompt is enough"
    return Claim(title, checks, ("positions.png",), notes=notes)


def _not_below(row: dict[str, Any] | None) -> bool | None:
    """Whether an interval does not lie below 0; None where there is none."""
    high = row.get("high") if row else None
    return None if high is None else high >= 0
