"""Scores of `set_sizes`: how many heads it takes by each order, and the areas under the curves.

Params  patch
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib import stats
from stages.lib.io import cli, params, tables
from stages.lib.io import metrics as metrics_file
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import areas, run_points
from stages.lib.stats.areas import Areas, Scores
from stages.set_sizes import table
from stages.set_sizes.metrics import Ends, RandomRule, Rule, SetSizesMetrics, Smallest
from stages.set_sizes.table import DOWN, RANDOM, RULES, SINGLE, UP, Place, Probabilities


def main(
    pairs: cli.Pairs,
    runs: Annotated[Path, "folder of the runs and the orders, as the sweep wrote it"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes set_sizes.json, auc.json and smallest.json into this folder"],
) -> None:
    """Count on the report split; orders and smallest sets were chosen on the selection split."""
    config = params.section("patch", PatchConfig)
    curves = collect(
        *patched_runs.read(runs / "runs.parquet", table.SCHEMA, pairs),
        tables.read(runs / "orders.parquet", table.ORDERS),
    )
    scores = score(curves)
    metrics_file.write(metrics, summarise(curves, scores, config))
    tables.write_rows(plots / "set_sizes.json", curve_points(curves))
    tables.write_rows(plots / "auc.json", area_points(scores))
    tables.write_rows(plots / "smallest.json", smallest_points(curves))


@dataclass(frozen=True)
class Curves:
    """Runs of the report split, by their place in the curves.

    Attributes
    ----------
    pairs : PromptPairs
        The statements.
    sizes : list of int
        Of the head sets of every curve, from none to all heads.
    draws : dict of str to list of int
        By rule, its orders.
    n_own : dict of str to int
        By rule, the number of heads that it ordered itself; the rest follow another rule.
    source : ndarray of shape (n_statements, 2)
        P(true) and P(false) of the unpatched source run.
    curves : dict of Place to ndarray of shape (n_statements, 2)
        Every order in both directions at every size.
    smallest : dict of Place to ndarray of shape (n_statements, 2)
        For each rule that has one, the smallest set that was enough on the selection split.
    """

    pairs: PromptPairs
    sizes: list[int]
    draws: dict[str, list[int]]
    n_own: dict[str, int]
    source: NDArray[Any]
    curves: Probabilities
    smallest: Probabilities

    @property
    def none(self) -> NDArray[Any]:
        """The base run."""
        return self.curves[Place(RANDOM, 0, UP, 0)]

    @property
    def every(self) -> NDArray[Any]:
        """The run with all heads of the model patched in."""
        return self.curves[Place(RANDOM, 0, UP, self.sizes[-1])]

    def p_correct(self, probabilities: NDArray[Any]) -> NDArray[np.float64]:
        """p_correct of a run: (n_statements,)."""
        return patch.p_correct(probabilities, self.pairs.label)

    def effect(self) -> stats.Interval:
        """Gain in p_correct by all heads of the model together."""
        return stats.difference(
            self.p_correct(self.every), self.p_correct(self.none), self.pairs.subject
        )


def collect(runs: pl.DataFrame, about: PromptPairs, orders: pl.DataFrame) -> Curves:
    """Find each run of the curves in the tables.

    Parameters
    ----------
    runs : DataFrame
        With the columns of `table.SCHEMA`.
    about : PromptPairs
        The statements of the runs, of both splits.
    orders : DataFrame
        With the columns of `table.ORDERS`.

    Returns
    -------
    Curves
        Rules in the order of `RULES`.
    """
    report = runs.filter(split="report")
    sizes = [0, *orders.filter("on_curve")["rank"].unique().sort()]
    made = {rule: orders.filter(rule=rule) for rule in RULES}
    draws = {rule: own["draw"].unique().sort().to_list() for rule, own in made.items() if len(own)}
    places = [
        Place(rule, draw, direction, size)
        for rule, some in draws.items()
        for draw in some
        for direction in (UP, DOWN)
        for size in sizes
    ]
    chosen = runs.filter(split="selection").unique(["rule", "size"]).select(Place._fields).rows()
    smallest = sorted((Place(*row) for row in chosen), key=lambda place: RULES.index(place.rule))

    def probabilities(some: list[Place]) -> Probabilities:
        return {x: patched_runs.probabilities(report, **x._asdict()) for x in some}

    return Curves(
        about.only(report["statement_id"]),
        sizes,
        draws,
        {rule: len(made[rule].filter("own", draw=0)) for rule in draws},
        patched_runs.probabilities(report, rule=None),
        probabilities(places),
        probabilities(smallest),
    )


def score(done: Curves) -> dict[str, Scores]:
    """Areas under the curves of all rules, by direction, as `areas.score` gives them."""
    return {
        direction: areas.score(
            {
                rule: np.array([_truths(done, rule, draw, direction) for draw in draws])
                for rule, draws in done.draws.items()
            },
            done.p_correct(done.none),
            done.p_correct(done.every),
            done.pairs.subject,
            done.sizes,
            SINGLE,
        )
        for direction in (UP, DOWN)
    }


def area_points(scores: dict[str, Scores]) -> list[dict[str, Any]]:
    """Rows of plots/set_sizes/auc.json.

    Returns
    -------
    list of dict
        rule, direction, measure (`areas.measures`), ``against`` (None, or the rule whose
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


def curve_points(done: Curves) -> list[dict[str, Any]]:
    """Rows of plots/set_sizes/set_sizes.json: one per run.

    Returns
    -------
    list of dict
        Columns of `Place`, ``share`` of all heads, those of `run_points.Point`, and ``recovered``:
        the fraction of the gain in p_correct by all heads; None without such a gain.
    """
    result = []
    low, high = (done.p_correct(p).mean() if len(p) else 0.0 for p in (done.none, done.every))
    for place, probabilities in done.curves.items():
        point = run_points.measure(done.pairs, probabilities)
        recovered = (
            None
            if high <= low or point.p_correct is None
            else (point.p_correct - low) / (high - low)
        )
        names = {**place._asdict(), "share": place.size / done.sizes[-1]}
        result.append({**names, **point.row(), "recovered": recovered})
    return result


def smallest_points(done: Curves) -> list[dict[str, Any]]:
    """Rows of plots/set_sizes/smallest.json: one per rule with a smallest set that is enough."""
    return [
        {"rule": place.rule, "size": place.size, "share": place.size / done.sizes[-1]}
        | run_points.measure(done.pairs, probabilities).row()
        for place, probabilities in done.smallest.items()
    ]


def summarise(done: Curves, scores: dict[str, Scores], config: PatchConfig) -> SetSizesMetrics:
    """Collect what metrics/set_sizes.json holds.

    Parameters
    ----------
    done : Curves
        Runs of the report split.
    scores : dict
        From `score`.
    config : PatchConfig
        Section `patch`.
    """
    runs = {"none": done.none, "all": done.every, "source": done.source}
    return SetSizesMetrics(
        source=config.source,
        base=config.base,
        n_heads=done.sizes[-1],
        effect=done.effect(),
        runs={name: run_points.measure(done.pairs, p) for name, p in runs.items()},
        rules={rule: _rule(done, scores, rule) if rule in done.draws else None for rule in RULES},
    )


def _rule(done: Curves, scores: dict[str, Scores], rule: str) -> Rule | RandomRule:
    """Areas of a rule, and its smallest set or the spread of its orders."""
    up, down = scores[UP][rule], scores[DOWN][rule]
    if rule != RANDOM:
        by_label = {
            str(size): run_points.by_label(done.pairs, done.curves[Place(rule, 0, UP, size)])
            for size in done.sizes
        }
        return Rule(up, down, by_label, done.n_own[rule], _smallest(done, rule))
    return RandomRule(
        up={**up, "orders": _orders(done, up, UP)},
        down={**down, "orders": _orders(done, down, DOWN)},
        n_orders=len(done.draws[rule]),
    )


def _truths(done: Curves, rule: str, draw: int, direction: str) -> NDArray[np.float64]:
    """p_correct along one curve: (n_sizes, n_statements)."""
    runs = (done.curves[Place(rule, draw, direction, size)] for size in done.sizes)
    return np.array([done.p_correct(p) for p in runs])


def _orders(done: Curves, measured: dict[str, Areas], direction: str) -> dict[str, Ends] | None:
    """Least and greatest area among the random orders; None where no area was measured."""
    if measured["value"]["auc"].value is None:
        return None
    low, high = (done.p_correct(p).mean() for p in (done.none, done.every))
    draws = [_truths(done, RANDOM, draw, direction).mean(axis=1) for draw in done.draws[RANDOM]]
    by_name = areas.measures((np.array(draws) - low) / (high - low), done.sizes)
    return {name: Ends(float(x.min()), float(x.max())) for name, x in by_name.items()}


def _smallest(done: Curves, rule: str) -> Smallest:
    """The smallest set of a rule on the report split; nulls where there is none."""
    label, subject = done.pairs.label, done.pairs.subject
    for place, probabilities in done.smallest.items():
        if place.rule == rule:
            right, source = (patch.correct(p, label) for p in (probabilities, done.source))
            return Smallest(
                n_heads=place.size,
                share=place.size / done.sizes[-1],
                **vars(run_points.measure(done.pairs, probabilities)),
                minus_source=stats.difference(right, source, subject),
            )
    return Smallest()


if __name__ == "__main__":
    cli.run(main)
