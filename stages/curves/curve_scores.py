"""What the curves say of each rule: areas, differences, the smallest set that restores honesty."""

from typing import Any

import numpy as np

from stages.curves import areas
from stages.curves.areas import Scores
from stages.curves.curve_search import RANDOM, RULES, SINGLE, Found
from stages.curves.curves import DOWN, UP, Done, Place
from stages.lib import stats
from stages.lib.patching import patch
from stages.lib.stats import run_points


def score(done: Done) -> dict[str, Scores]:
    """Areas under the curves of all rules, by direction, as `areas.score` gives them."""
    rules = {rule: [] for rule, *_ in done.curves}
    for place in done.curves:
        if place.draw not in rules[place.rule]:
            rules[place.rule].append(place.draw)
    return {
        direction: areas.score(
            {
                rule: np.array(
                    [
                        [
                            done.truth(done.curves[Place(rule, draw, direction, k)])
                            for k in done.sizes
                        ]
                        for draw in draws
                    ]
                )
                for rule, draws in rules.items()
            },
            done.truth(done.none),
            done.truth(done.every),
            done.cases.subject,
            done.sizes,
            SINGLE,
        )
        for direction in (UP, DOWN)
    }


def points(scores: dict[str, Scores]) -> list[dict[str, Any]]:
    """Rows of plots/curves/areas.json.

    Returns
    -------
    list of dict
        rule, direction, measure (`areas.measures`), ``against`` (None, or the rule whose area was
        subtracted), value, low, high, n.
    """
    return [
        {"rule": rule, "direction": direction, "measure": measure, "against": against}
        | interval.row()
        for direction, by_rule in scores.items()
        for rule, found in by_rule.items()
        for kind, against in (("value", None), ("difference", SINGLE))
        for measure, interval in found.get(kind, {}).items()
    ]


def summarise(done: Done, scores: dict[str, Scores], found: Found) -> dict[str, Any]:
    """Collect what metrics/curves.json holds.

    Parameters
    ----------
    done : Done
        Runs of the report part.
    scores : dict
        From `score`.
    found : Found
        What was chosen on the selection part.

    Returns
    -------
    dict
        ``rules`` has None for a rule that could not be made; intervals of areas are those of the
        orders at hand: other statements of the selection part would give other orders.
    """
    rules: dict[str, Any] = dict.fromkeys(RULES)
    for rule in found.orders:
        rules[rule] = {
            direction: {
                kind: {measure: x.row() for measure, x in some.items()}
                for kind, some in by_rule[rule].items()
            }
            for direction, by_rule in scores.items()
        }
        if rule == RANDOM:
            for direction, by_rule in scores.items():
                measured = by_rule[rule]["value"]["area"].value is not None
                rules[rule][direction]["orders"] = _orders(done, direction) if measured else None
            rules[rule]["n_orders"] = len(found.orders[rule])
        else:
            rules[rule] |= {"n_own": found.own[rule], "smallest": _smallest(done, rule)}
    runs = {"none": done.none, "all": done.every, "source": done.source}
    return {
        "n_heads": done.sizes[-1],
        "gain": done.gain().row(),
        "runs": {name: run_points.point(done.cases, p) for name, p in runs.items()},
        "rules": rules,
    }


def _orders(done: Done, direction: str) -> dict[str, dict[str, float]]:
    """Least and greatest area among the random orders: intervals know nothing of their spread."""
    low, high = (done.truth(p).mean() for p in (done.none, done.every))
    truth = {place: done.truth(p).mean() for place, p in done.curves.items()}
    draws = {draw for rule, draw, *_ in truth if rule == RANDOM}
    found = areas.measures(
        np.array(
            [
                [
                    (truth[Place(RANDOM, draw, direction, k)] - low) / (high - low)
                    for k in done.sizes
                ]
                for draw in sorted(draws)
            ]
        ),
        done.sizes,
    )
    return {
        name: {"least": float(values.min()), "greatest": float(values.max())}
        for name, values in found.items()
    }


def _smallest(done: Done, rule: str) -> dict[str, Any]:
    """The smallest set of a rule on the report part; nulls where there is none."""
    label, subject = done.cases.label, done.cases.subject
    for place, probabilities in done.smallest.items():
        if place.rule == rule:
            right, source = (patch.correct(p, label) for p in (probabilities, done.source))
            return {
                "n_heads": place.size,
                "share": place.size / done.sizes[-1],
                **run_points.point(done.cases, probabilities),
                "minus_source": stats.difference(right, source, subject).row(),
            }
    return dict.fromkeys(("n_heads", "share", *run_points.POINT, "minus_source"))
