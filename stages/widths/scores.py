"""Scores of `widths`: every window on the selection split, and the best ones on the report split.

Params  patch
"""

from pathlib import Path
from typing import Annotated

import numpy as np
import polars as pl

from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import patched_runs, roles
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import SPLITS, PromptPairs
from stages.lib.patching.roles import RUNS
from stages.lib.stats import chosen_window, run_points
from stages.lib.stats.run_points import Point
from stages.widths import window_choice, window_runs
from stages.widths.metrics import Apart, Size, Unpatched, WidthsMetrics, WindowPoints
from stages.widths.window_choice import Choice, Choices
from stages.widths.window_runs import DIRECTIONS, SizedWindow

CHOSEN_BY = {
    "patched": chosen_window.CHOSEN_BY,
    "reverse": "lowest mean probability of the right answer, on the selection split",
    "control": "the median, by that probability, of the windows without a layer of the best one",
}

PairsAndRuns = tuple[PromptPairs, pl.DataFrame]  # statements, and runs over these statements


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes layers.json (one row per size, run and window, selection split) and "
        "topics.json (one row per size, topic, run and chosen window, report split) into this "
        "folder",
    ],
) -> None:
    """Repeat the sweep's choice of windows on `selection`, and score these windows on `report`."""
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, window_runs.SCHEMA, pairs)
    splits = {split: _of_split(about, table, split) for split in SPLITS}
    choices = window_choice.choose(*splits["selection"], config)
    tables.write_rows(plots / "layers.json", by_layer(splits["selection"], choices, config))
    sizes = tuple(dict.fromkeys(window.size for window in window_runs.windows(table)))
    topics = by_topic(splits["report"], choices, sizes, run_points.topics(pairs), config)
    tables.write_rows(plots / "topics.json", topics)
    records.write(metrics, summarise(splits, choices, topics, config))


def by_layer(sweep: PairsAndRuns, choices: Choices, config: PatchConfig) -> list[Row]:
    """Return accuracy and p_correct of every window on the selection split.

    Parameters
    ----------
    sweep : tuple of PromptPairs and DataFrame
        Statements, and runs of all windows on these statements.
    choices : dict of (str, int) to Choice
        The windows chosen by these runs.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/widths/layers.json, one per size, run and window. Unpatched runs have no
        window: each has two rows per size, at the lowest and at the highest window, to draw a line.

    References
    ----------
    arXiv:2311.15131, figure 3 (windows of five layers, one direction).
    """
    statements, runs = sweep
    best = {(name, choice.best) for (name, _), choice in choices.items()}
    windows = window_runs.windows(runs)
    result: list[Row] = []
    for size in dict.fromkeys(window.size for window in windows):
        own = [window for window in windows if window.size == size]
        for name in RUNS:
            patched = name in DIRECTIONS
            for window in own if patched else dict.fromkeys((own[0], own[-1])):
                p = window_runs.probabilities(runs, name, window if patched else None, config)
                result.append(
                    {
                        **{"run": name, **roles.personas(RUNS[name], config), "size": size},
                        **{**window.layers, "chosen": (name, window) in best},
                        **run_points.measure(statements, p).row(),
                    }
                )
    return result


def by_topic(
    sweep: PairsAndRuns,
    choices: Choices,
    sizes: tuple[int, ...],
    topics: list[str],
    config: PatchConfig,
) -> list[Row]:
    """Return accuracy and p_correct of the chosen windows and their controls, by topic and in all.

    Parameters
    ----------
    sweep : tuple of PromptPairs and DataFrame
        Statements of the report split, and runs of the chosen windows on these statements.
    choices : dict of (str, int) to Choice
        The chosen windows.
    sizes : tuple of int
        All window sizes.
    topics : list of str
        `run_points.ALL`, and every topic.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/widths/topics.json, one per size, topic, run and `window`. `window` is
        ``best``, ``control``, or ``none`` in the unpatched runs, which are repeated for each size.
    """
    statements, runs = sweep
    result: list[Row] = []
    for size in sizes:
        reported_runs = _reported_runs(choices, size)
        of = {
            (name, window): window_runs.probabilities(runs, name, window, config)
            for name, _, window in reported_runs
        }
        for topic in topics:
            in_topic = run_points.of_topic(statements, topic)
            result += [
                {
                    **{"size": size, "topic": topic, "run": name, "window": kind},
                    **roles.personas(RUNS[name], config),
                    **window_runs.layers(window),
                    **run_points.measure(statements, of[name, window], in_topic).row(),
                }
                for name, kind, window in reported_runs
            ]
    return result


def summarise(
    splits: dict[str, PairsAndRuns], choices: Choices, topics: list[Row], config: PatchConfig
) -> WidthsMetrics:
    """Collect the best windows, with their runs, unpatched runs and controls.

    Parameters
    ----------
    splits : dict of str to tuple of PromptPairs and DataFrame
        By split: runs of all windows on ``selection``, of the chosen windows on ``report``.
    choices : dict of (str, int) to Choice
        The chosen windows.
    topics : list of dict
        From `by_topic`.
    config : PatchConfig
        Section `patch`.
    """
    statements, runs = splits["selection"]
    unpatched = {
        name: window_runs.probabilities(runs, name, None, config) for name in ("source", "base")
    }
    of_direction: dict[str, dict[str, Size]] = {name: {} for name in DIRECTIONS}
    for (name, size), choice in choices.items():
        of_direction[name][str(size)] = _of_size(name, choice, splits, topics, config)
    return WidthsMetrics(
        **of_direction,
        unpatched=Unpatched(
            {name: run_points.measure(statements, p) for name, p in unpatched.items()},
            {name: _of_topics(topics, name, "none", None) for name in unpatched},
        ),
        chosen_by=CHOSEN_BY if choices else chosen_window.NOT_CHOSEN,
        known={split: run_points.count(about.table) for split, (about, _) in splits.items()},
        source=config.source,
        base=config.base,
        positions=config.positions,
    )


def _of_split(about: PromptPairs, runs: pl.DataFrame, split: str) -> PairsAndRuns:
    """Return the statements and the runs of one split."""
    own = runs.filter(pl.col("split") == split)
    return about.only(own["statement_id"]), own


def _reported_runs(choices: Choices, size: int) -> list[tuple[str, str, SizedWindow | None]]:
    """List the runs of one size on the report split: run, kind of window, and window."""
    reported_runs: list[tuple[str, str, SizedWindow | None]] = []
    for name in RUNS:
        choice = choices.get((name, size))
        if name not in DIRECTIONS:
            reported_runs.append((name, "none", None))
        elif choice:
            reported_runs += [(name, kind, window) for kind, window in _windows(choice).items()]
    return reported_runs


def _windows(choice: Choice) -> dict[str, SizedWindow]:
    """Return the best window, and its control where there is one."""
    return {"best": choice.best} | ({"control": choice.control} if choice.control else {})


def _of_size(
    name: str,
    choice: Choice,
    splits: dict[str, PairsAndRuns],
    topics: list[Row],
    config: PatchConfig,
) -> Size:
    """Collect the results for one size and direction: the best window and its control."""
    (selection, sweep), (report, runs) = splits["selection"], splits["report"]
    windows = _windows(choice)
    points = {
        kind: WindowPoints(
            **window.layers,
            selection=run_points.measure(
                selection, window_runs.probabilities(sweep, name, window, config)
            ),
            report=_of_topics(topics, name, kind, window.size),
        )
        for kind, window in windows.items()
    }
    into = "base" if name == "patched" else "source"
    p = {into: window_runs.probabilities(runs, into, None, config)}
    p |= {kind: window_runs.probabilities(runs, name, w, config) for kind, w in windows.items()}
    best = p.pop("best")
    return Size(
        best=points["best"],
        control=points.get("control"),
        difference={
            f"best - {other}": run_points.difference(report, best, run) for other, run in p.items()
        },
        apart=_apart(choice.apart),
    )


def _apart(p_correct: tuple[float, ...]) -> Apart:
    """Summarise the p_correct of the windows that share no layer with the best one."""
    if not p_correct:
        return Apart(0, None, None, None)
    return Apart(len(p_correct), float(np.mean(p_correct)), min(p_correct), max(p_correct))


def _of_topics(topics: list[Row], name: str, kind: str, size: int | None) -> dict[str, Point]:
    """Return the numbers of one run by topic; `size` is None for an unpatched run."""
    return {
        str(row["topic"]): Point.of(row)
        for row in topics
        if row["run"] == name and row["window"] == kind and size in (None, row["size"])
    }


if __name__ == "__main__":
    cli.run(main)
