"""Scores of `benchmark`: how well each method points at the changed heads, on every organism.

Params  benchmark
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.benchmark import scores_doses, scores_sets
from stages.benchmark.config import MORE, BenchmarkConfig
from stages.benchmark.metrics import NEEDED, BenchmarkMetrics, MethodOn, Organism
from stages.benchmark.schema import COSTS, CURVES, EVERY, SCORES, TRUTH
from stages.benchmark.scores_sets import Gap
from stages.lib import stats
from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching.patch import Head
from stages.lib.stats import Interval, ranking, run_points
from stages.lib.stats.ranking import Ranked
from stages.lib.stats.ratios import recovered

BOUNDS = {
    "auroc": (0.0, 1.0),
    "auroc_needed": (0.0, 1.0),
    "auroc_inside": (0.0, 1.0),
    "cpr": (-100.0, 100.0),
    "cmd": (0.0, 100.0),
}
"""Range of each score; `cpr` and `cmd` have no upper bound, so their ranges are wide."""


def main(
    runs: Annotated[Path, "folder with a folder of tables per organism, from stage `benchmark`"],
    pairs: cli.Pairs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes methods.json (one row per organism and method) and doses.json (one per organism, "
        "method and dose) into this folder",
    ],
) -> None:
    """Measure every method on every organism."""
    section = params.section("benchmark", BenchmarkConfig)
    about = tables.read(pairs, tables.PAIRS).select("statement_id", "subject")
    organisms = {name: organism(runs / name, about, section.seed) for name in section.organisms}
    summary = summarise(organisms)
    tables.write_rows(plots / "methods.json", method_rows(summary))
    tables.write_rows(plots / "doses.json", dose_rows(summary))
    records.write(metrics, summary)


def organism(folder: Path, subjects: pl.DataFrame, seed: int) -> Organism:
    """Measure every method on one organism.

    Parameters
    ----------
    folder : Path
        Tables of stage `benchmark`.
    subjects : DataFrame
        What each statement is about: columns ``statement_id`` and ``subject``.
    seed : int
        Seed of the draws.

    Returns
    -------
    Organism
    """
    scored = tables.read(folder / "scores.parquet", SCORES)
    curves = tables.read(folder / "curves.parquet", CURVES)
    grafted = tables.read(folder / "truth.parquet", TRUTH)
    costs = tables.read(folder / "costs.parquet", COSTS)
    resampled = tables.read(folder / "resampled.parquet", SCORES).join(subjects, "statement_id")
    sets = tables.read_json(folder / "sets.json")
    shape = scores_doses.shape(scored)
    lying = np.zeros(shape, bool)
    lying[tuple(grafted.select("layer", "head").unique().to_numpy().T)] = True
    gap = scores_sets.gap(curves)
    shares = _needed(grafted, gap)
    needed = np.zeros(shape, bool)
    for head, share in shares.items():
        needed[head] = _is_needed(share)
    layers = np.repeat(lying.any(axis=1, keepdims=True), shape[1], axis=1)
    orders = _orders(scored, resampled, shape) | {"layers": layers.astype(float)}
    cost_rows = {row["method"]: row for row in costs.iter_rows(named=True)}
    return Organism(
        lying=np.argwhere(lying).tolist(),
        confined=bool(lying.any() and not lying[lying.any(axis=1)].all()),
        needed={f"{layer}.{head}": share for (layer, head), share in shares.items()},
        n_seen=scored.filter(pl.col("statement_id") != EVERY)["statement_id"].n_unique(),
        n_more=resampled["statement_id"].n_unique(),
        advantage=gap.advantage,
        methods={
            method: MethodOn(
                **_ranks(order, lying, needed, layers),
                **scores_sets.areas(curves, gap, method, lying.size),
                **_cost(cost_rows.get(method)),
                largest=float(order.max()),
            )
            for method, order in orders.items()
        },
        stability=scores_doses.stability(resampled, max(10, int(lying.sum())), seed),
        doses=scores_doses.detections(scored, lying) if lying.any() else {},
        rival=scores_sets.rival(curves, gap, sets, lying),
    )


def summarise(organisms: dict[str, Organism]) -> BenchmarkMetrics:
    """Average every method over the organisms whose lie is confined to some heads."""
    exact = [name for name, of in organisms.items() if of.confined]
    exact_organisms = [organisms[name] for name in exact]
    methods = list(exact_organisms[0].methods) if exact_organisms else []
    values: dict[str, dict[str, Interval]] = {name: {} for name in BOUNDS}
    for method in methods:
        on = [organism.methods[method] for organism in exact_organisms]
        of = {
            "auroc": [m.ranked.auroc.value for m in on if m.ranked],
            "auroc_needed": [m.ranked_needed.auroc.value for m in on if m.ranked_needed],
            "auroc_inside": [m.ranked_inside.auroc.value for m in on if m.ranked_inside],
            "cpr": [m.cpr.value for m in on],
            "cmd": [m.cmd.value for m in on],
        }
        for name, some in of.items():
            values[name][method] = _over_organisms([v for v in some if v is not None], BOUNDS[name])
    return BenchmarkMetrics(organisms=organisms, exact=exact, **values)


def method_rows(summary: BenchmarkMetrics) -> list[Row]:
    """Return the rows of plots/benchmark/methods.json."""
    rows: list[Row] = []
    for name, organism in summary.organisms.items():
        for method, on in organism.methods.items():
            auroc, needed, inside = (
                one.auroc if one else stats.NOTHING
                for one in (on.ranked, on.ranked_needed, on.ranked_inside)
            )
            rows.append(
                {"organism": name, "method": method, "exact": name in summary.exact}
                | run_points.beside("auroc", auroc)
                | run_points.beside("auroc_needed", needed)
                | run_points.beside("auroc_inside", inside)
                | run_points.beside("cpr", on.cpr)
                | run_points.beside("cmd", on.cmd)
                | {"passes": on.forwards + 2 * on.backwards}
            )
    return rows


def dose_rows(summary: BenchmarkMetrics) -> list[Row]:
    """Return the rows of plots/benchmark/doses.json."""
    return [
        {
            "organism": name,
            "method": method,
            "dose": float(dose),
            "detected": share,
            "false_alarms": detection.false_alarms[dose],
            "auroc": detection.auroc[dose],
        }
        for name, organism in summary.organisms.items()
        for method, detection in organism.doses.items()
        for dose, share in detection.detected.items()
    ]


def _needed(grafted: pl.DataFrame, gap: Gap) -> dict[Head, Interval]:
    """Share of the log-odds gap that removing each head's weight change restores, if any."""
    grafted = grafted.sort("layer", "head", "statement_id")
    head_tables = [*grafted.group_by("layer", "head", maintain_order=True)]
    if not head_tables:
        return {}
    gains = np.array([rows["log_odds"].to_numpy() - gap.base for _, rows in head_tables])
    shares = recovered(gains, gap.width, gap.subject)
    return {Head(*name): share for (name, _), share in zip(head_tables, shares, strict=True)}


def _orders(
    scored: pl.DataFrame, resampled: pl.DataFrame, shape: tuple[int, int]
) -> dict[str, NDArray[np.float64]]:
    """Mean scores of every head, by method; methods that saw more statements have a suffix."""
    tables = (("", scored.filter(dose=1.0)), (MORE, resampled))
    return {
        f"{method}{suffix}": scores_doses.order(table.filter(method=method), shape)
        for suffix, table in tables
        for method in table["method"].unique().sort()
    }


def _ranks(
    order: NDArray[np.float64],
    lying: NDArray[np.bool_],
    needed: NDArray[np.bool_],
    layers: NDArray[np.bool_],
) -> dict[str, Ranked | None]:
    """Compare scores with the changed and the needed heads; the latter also in their layers."""
    return {
        "ranked": _ranked(order, lying),
        "ranked_needed": _ranked(order, needed),
        "ranked_inside": _ranked(order[layers], needed[layers]),
    }


def _cost(row: dict[str, Any] | None) -> dict[str, Any]:
    """Passes and seconds of a method; zeros for a score that ran nothing."""
    if row is None:
        return {"forwards": 0, "backwards": 0, "seconds": 0.0}
    return {name: row[name] for name in ("forwards", "backwards")} | {
        "seconds": round(row["seconds"], 1)
    }


def _ranked(order: NDArray[np.float64], truth: NDArray[np.bool_]) -> Ranked | None:
    """Compare scores with the true heads; None where no head or every head is true."""
    some = truth.any() and not truth.all()
    return ranking.ranked(order.ravel(), truth.ravel()) if some else None


def _is_needed(share: Interval) -> bool:
    """Whether removing a head's change restores more than `NEEDED`, with an interval above 0."""
    return share.value is not None and share.value > NEEDED and share.is_above(0)


def _over_organisms(values: list[float], bounds: tuple[float, float]) -> Interval:
    """Mean over organisms, with a Student's t interval over them."""
    if len(values) < 2:
        return Interval(values[0], None, None, 1) if values else stats.NOTHING
    return stats.mean(values, np.arange(len(values)), bounds)


if __name__ == "__main__":
    cli.run(main)
