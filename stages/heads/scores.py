"""Scores of `heads`: what each head of the best window does, and the set grown from them."""

from pathlib import Path
from typing import Annotated, Any

import polars as pl

from stages.heads import table
from stages.lib.io import cli, tables
from stages.lib.patching import patched_runs, single_heads
from stages.lib.patching.cases import Cases
from stages.lib.stats import run_points


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
    """Count on the selection part only; `transplant` scores the set on the report part."""
    rows, about = patched_runs.read(runs, table.SCHEMA, pairs)
    sets = by_step(about, rows)
    tables.write_rows(plots / "heads.json", by_head(about, rows))
    tables.write_rows(plots / "sets.json", sets)
    tables.write_json(metrics, summarise(about, rows, sets))


def by_head(about: Cases, runs: pl.DataFrame) -> list[dict[str, Any]]:
    """Truth that each head of the window gains alone, and that is lost where it is left out.

    Parameters
    ----------
    about : Cases
        The statements.
    runs : DataFrame
        With the columns of `table.SCHEMA`.

    Returns
    -------
    list of dict
        One row per measure (``alone``, ``left_out``) and head: of plots/heads/heads.json.
    """
    result = []
    for measure in (single_heads.ALONE, single_heads.LEFT_OUT):
        for head, present, absent in single_heads.pairs(runs, measure):
            own = present if measure == single_heads.ALONE else absent
            row = {"measure": measure, **head._asdict(), **run_points.point(about, own)}
            result.append(row | run_points.effect(about, present, absent))
    return result


def by_step(about: Cases, runs: pl.DataFrame) -> list[dict[str, Any]]:
    """Sets that the greedy search went through, the empty one first.

    Returns
    -------
    list of dict
        One row per step, with the head that was added last: of plots/heads/sets.json. ``kept`` is
        the share of the window's gain of truth; None where the window gains nothing.
    """
    window = run_points.point(about, patched_runs.probabilities(runs, patch_id="window"))
    steps = runs.unique("step").drop_nulls("step").sort("step").select("step", "heads").rows()
    result, before, empty = [], set(), None
    for step, heads in steps:
        point = run_points.point(about, patched_runs.probabilities(runs, step=step))
        empty = point["truth"] if empty is None else empty
        gain = window["truth"] - empty
        kept = (point["truth"] - empty) / gain if gain > 0 else None
        now = {(head["layer"], head["head"]) for head in heads}
        layer, head = next(iter(now - before), (None, None))
        result.append({"size": step, "layer": layer, "head": head, **point, "kept": kept})
        before = now
    return result


def summarise(about: Cases, runs: pl.DataFrame, sets: list[dict[str, Any]]) -> dict[str, Any]:
    """Collect what metrics/heads.json holds, from `by_step` and the runs beside the set."""
    if not sets:
        return {"n_heads": None, "share_of_all_heads": None, "chosen_by": table.NOTHING}
    unpatched, window = (
        run_points.point(about, patched_runs.probabilities(runs, patch_id=name))
        for name in ("none", "window")
    )
    n_heads = sets[-1]["size"]
    return {
        "n_heads": n_heads,
        "share_of_all_heads": n_heads / runs["model_heads"][0],
        "set": sets[-1],
        "window": window,
        "base": unpatched,
    }


if __name__ == "__main__":
    cli.run(main)
