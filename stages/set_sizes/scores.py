"""Scores of `set_sizes`: points of the curves, areas under them, and smallest head sets.

Params  patch
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import auc, run_points
from stages.lib.stats.auc import Areas, Scores
from stages.set_sizes import schema
from stages.set_sizes.metrics import Ends, RandomRule, Rule, SetSizesMetrics, Smallest
from stages.set_sizes.schema import DOWN, RANDOM, RULES, SINGLE, UP, Place, Probabilities


def main(
    pairs: cli.Pairs,
    runs: Annotated[Path, "folder of stage `set_sizes`, with runs.parquet and orders.parquet"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes set_sizes.json, auc.json and smallest.json into this folder"],
) -> None:
    """Score on the report split the orders and smallest sets chosen on the selection split."""
    config = params.section("patch", PatchConfig)
    curves = collect(
        *patched_runs.read(runs / "runs.parquet", schema.SCHEMA, pairs),
        tables.read(runs / "orders.parquet", schema.ORDERS),
    )
    scores = score(curves)
    records.write(metrics, summarise(curves, scores, config))
    tables.write_rows(plots / "set_sizes.json", curve_points(curves))
    tables.write_rows(plots / "auc.json", area_points(scores))
    tables.write_rows(plots / "smallest.json", smallest_points(curves))


@dataclass(frozen=True)
class Curves:
    """Runs on the report split, by their place in the curves.

    Attributes
    ----------
    pairs : PromptPairs
        The statements.
    sizes : list of int
        Sizes of the head sets of every curve, from no head to all heads.
    draws : dict of str to list of int
        By rule, the numbers of its orders.
    n_own : dict of str to int
        By rule, the number of heads that it ordered itself; the other heads follow another rule.
    source : ndarray of shape (n_statements, 2)
        P(true) and P(false) of the unpatched source run.
    curves : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) of every order, in both directions, at every size.
    smallest : dict of Place to ndarray of shape (n_statements, 2)
        P(true) and P(false) with the smallest set of each rule that restores honesty on the
        selection split, for each rule that has such a set.
    """

    pairs: PromptPairs
    sizes: list[int]
    draws: dict[str, list[int]]
    n_own: dict[str, int]
    source: NDArray[Any]
    curves: Probabilities
    smallest: Probabilities

    @property
    def no_heads(self) -> NDArray[Any]:
        """The run without patched heads: the base run."""
        return self.curves[Place(RANDOM, 0, UP, 0)]

    @property
    def all_heads(self) -> NDArray[Any]:
        """The run with all heads of the model patched in."""
        return self.curves[Place(RANDOM, 0, UP, self.sizes[-1])]

    def p_correct(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """Return p_correct of a run: (n_statements,), float64."""
        return patch.p_correct(probabilities, self.pairs.label)

    def effect(self) -> stats.Interval:
        """Return the gain in p_correct with all heads of the model patched."""
        return stats.difference(
            self.p_correct(self.all_heads), self.p_correct(self.no_heads), self.pairs.subject
        )


def collect(runs: pl.DataFrame, about: PromptPairs, orders: pl.DataFrame) -> Curves:
    """Collect the runs of the curves from the tables.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `schema.SCHEMA`.
    about : PromptPairs
        The statements of the runs, of both splits.
    orders : DataFrame
        With the columns of `schema.ORDERS`.

    Returns
    -------
    Curves
        Rules in the order of `RULES`.
    """
    report = runs.filter(split="report")
    sizes = [0, *orders.filter("on_curve")["rank"].unique().sort()]
    order_rows = {rule: orders.filter(rule=rule) for rule in RULES}
    draws = {
        rule: rule_rows["draw"].unique().sort().to_list()
        for rule, rule_rows in order_rows.items()
        if len(rule_rows)
    }
    places = [
        Place(rule, draw, direction, size)
        for rule, some in draws.items()
        for draw in some
        for direction in (UP, DOWN)
        for size in sizes
    ]
    smallest_rows = (
        runs.filter(split="selection").unique(["rule", "size"]).select(Place._fields).rows()
    )
    smallest = sorted(
        (Place(*row) for row in smallest_rows), key=lambda place: RULES.index(place.rule)
    )

    def probabilities(some: list[Place]) -> Probabilities:
        return {x: patched_runs.probabilities(report, **x._asdict()) for x in some}

    return Curves(
        about.only(report["statement_id"]),
        sizes,
        draws,
        {rule: len(order_rows[rule].filter("own", draw=0)) for rule in draws},
        patched_runs.probabilities(report, rule=None),
        probabilities(places),
        probabilities(smallest),
    )


def score(results: Curves) -> dict[str, Scores]:
    """Return the areas under the curves of all rules, by direction; see `auc.score`."""
    return {
        direction: auc.score(
            {
                rule: np.array([_truths(results, rule, draw, direction) for draw in draws])
                for rule, draws in results.draws.items()
            },
            results.p_correct(results.no_heads),
            results.p_correct(results.all_heads),
            results.pairs.subject,
            results.sizes,
            SINGLE,
        )
        for direction in (UP, DOWN)
    }


def area_points(scores: dict[str, Scores]) -> list[Row]:
    """Return the rows of plots/set_sizes/auc.json.

    Returns
    -------
    list of dict
        rule, direction, measure (`auc.measures`), ``against`` (None, or the rule whose
        area was subtracted), value, low, high, n.
    """
    return [
        {"rule": rule, "direction": direction, "measure": measure, "against": against}
        | interval.row()
        for direction, by_rule in scores.items()
        for rule, of_rule in by_rule.items()
        for kind, against in (("value", None), ("difference", SINGLE))
        for measure, interval in of_rule.get(kind, {}).items()
    ]


def curve_points(results: Curves) -> list[Row]:
    """Return the rows of plots/set_sizes/set_sizes.json: one row per run.

    Returns
    -------
    list of dict
        Columns of `Place`; ``share``, the size as a fraction of all heads; columns of
        `run_points.Point`; and ``recovered``, the gain in p_correct as a fraction of the gain with
        all heads patched, None where all heads gain nothing.
    """
    result: list[Row] = []
    low, high = (
        results.p_correct(p).mean() if len(p) else 0.0
        for p in (results.no_heads, results.all_heads)
    )
    for place, probabilities in results.curves.items():
        point = run_points.measure(results.pairs, probabilities)
        recovered = (
            None
            if high <= low or point.p_correct is None
            else (point.p_correct - low) / (high - low)
        )
        names = {**place._asdict(), "share": place.size / results.sizes[-1]}
        result.append({**names, **point.row(), "recovered": recovered})
    return result


def smallest_points(results: Curves) -> list[Row]:
    """Return the rows of plots/set_sizes/smallest.json: one row per rule with a smallest set."""
    return [
        {"rule": place.rule, "size": place.size, "share": place.size / results.sizes[-1]}
        | run_points.measure(results.pairs, probabilities).row()
        for place, probabilities in results.smallest.items()
    ]


def summarise(results: Curves, scores: dict[str, Scores], config: PatchConfig) -> SetSizesMetrics:
    """Collect the content of metrics/set_sizes.json.

    Parameters
    ----------
    results : Curves
        Runs on the report split.
    scores : dict
        From `score`.
    config : PatchConfig
        Section `patch`.
    """
    runs = {"none": results.no_heads, "all": results.all_heads, "source": results.source}
    return SetSizesMetrics(
        source=config.source,
        base=config.base,
        n_heads=results.sizes[-1],
        effect=results.effect(),
        runs={name: run_points.measure(results.pairs, p) for name, p in runs.items()},
        rules={
            rule: _rule(results, scores, rule) if rule in results.draws else None for rule in RULES
        },
    )


def _rule(results: Curves, scores: dict[str, Scores], rule: str) -> Rule | RandomRule:
    """Return the areas of a rule, and its smallest set or the spread of the random orders."""
    up, down = scores[UP][rule], scores[DOWN][rule]
    if rule != RANDOM:
        by_label = {
            str(size): run_points.by_label(results.pairs, results.curves[Place(rule, 0, UP, size)])
            for size in results.sizes
        }
        return Rule(up, down, by_label, results.n_own[rule], _smallest(results, rule))
    return RandomRule(
        up={**up, "orders": _orders(results, up, UP)},
        down={**down, "orders": _orders(results, down, DOWN)},
        n_orders=len(results.draws[rule]),
    )


def _truths(results: Curves, rule: str, draw: int, direction: str) -> NDArray[np.float64]:
    """Return p_correct along one curve: (n_sizes, n_statements)."""
    runs = (results.curves[Place(rule, draw, direction, size)] for size in results.sizes)
    return np.array([results.p_correct(p) for p in runs])


def _orders(results: Curves, measured: dict[str, Areas], direction: str) -> dict[str, Ends] | None:
    """Return the least and greatest area of the random orders; None where no area was measured."""
    if measured["value"]["auc"].value is None:
        return None
    low, high = (results.p_correct(p).mean() for p in (results.no_heads, results.all_heads))
    draws = [
        _truths(results, RANDOM, draw, direction).mean(axis=1) for draw in results.draws[RANDOM]
    ]
    by_name = auc.measures((np.array(draws) - low) / (high - low), results.sizes)
    return {name: Ends(float(x.min()), float(x.max())) for name, x in by_name.items()}


def _smallest(results: Curves, rule: str) -> Smallest:
    """Score the smallest set of a rule on the report split; all None where there is no set."""
    label, subject = results.pairs.label, results.pairs.subject
    for place, probabilities in results.smallest.items():
        if place.rule == rule:
            is_correct, source = (patch.correct(p, label) for p in (probabilities, results.source))
            return Smallest(
                n_heads=place.size,
                share=place.size / results.sizes[-1],
                **vars(run_points.measure(results.pairs, probabilities)),
                minus_source=stats.difference(is_correct, source, subject),
            )
    return Smallest()


if __name__ == "__main__":
    cli.run(main)
