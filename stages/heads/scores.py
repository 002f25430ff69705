"""Scores of `heads`: the effect of each head of the best window, and the set as it grows."""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.heads import schema
from stages.heads.metrics import HeadsMetrics, NoHeads, Step
from stages.lib.io import cli, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import head_effects, patched_runs
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points
from stages.lib.stats.run_points import Point


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes heads.json (each head alone and left out) and sets.json (the search) into "
        "this folder",
    ],
) -> None:
    """Score on the selection split only; `transplant` scores the set on the report split."""
    rows, about = patched_runs.read(runs, schema.SCHEMA, pairs)
    sets = by_step(about, rows)
    heads = [
        row
        for kind in (head_effects.ALONE, head_effects.LEFT_OUT)
        for row in run_points.by_head(about, rows, kind)
    ]
    tables.write_rows(plots / "heads.json", heads)
    tables.write_rows(plots / "sets.json", sets)
    records.write(metrics, summarise(about, rows, sets))


def by_step(about: PromptPairs, runs: pl.DataFrame) -> list[Row]:
    """Measure the sets that the greedy search went through, the empty set first.

    Returns
    -------
    list of dict
        Rows of plots/heads/sets.json, one per step, with the fields of `Step`.
    """
    window = run_points.measure(about, patched_runs.probabilities(runs, patch_id="window"))
    steps = runs.unique("step").drop_nulls("step").sort("step").select("step", "heads").rows()
    points = [
        run_points.measure(about, patched_runs.probabilities(runs, step=step)) for step, _ in steps
    ]
    rows: list[Row] = []
    previous_heads: set[tuple[int, int]] = set()
    for (size, heads), point in zip(steps, points, strict=True):
        current_heads = {(head["layer"], head["head"]) for head in heads}
        layer, head = next(iter(current_heads - previous_heads), (None, None))
        recovered = _recovered(point, points[0], window)
        rows.append(
            {"size": size, "layer": layer, "head": head, **point.row(), "recovered": recovered}
        )
        previous_heads = current_heads
    return rows


def summarise(about: PromptPairs, runs: pl.DataFrame, sets: list[Row]) -> HeadsMetrics | NoHeads:
    """Describe the last set of the search, from `by_step`, beside the window and the base run."""
    if not sets:
        return NoHeads(n_heads=None, share_of_all_heads=None, chosen_by=schema.NOTHING)
    base, window = (
        run_points.measure(about, patched_runs.probabilities(runs, patch_id=name))
        for name in ("none", "window")
    )
    last_step = Step.of(sets[-1])
    share = last_step.size / runs["model_heads"][0]
    return HeadsMetrics(last_step.size, share, set=last_step, window=window, base=base)


def _recovered(point: Point, empty: Point, window: Point) -> float | None:
    """Divide a set's gain in p_correct by the window's gain; None if the window gains nothing."""
    if point.p_correct is None or empty.p_correct is None or window.p_correct is None:
        return None
    gain = window.p_correct - empty.p_correct
    return (point.p_correct - empty.p_correct) / gain if gain > 0 else None


if __name__ == "__main__":
    cli.run(main)
