"""Scores of `robustness`: each set on every topic and wording, and the overlap of sets.

Params  patch, robustness
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching import layer_window, patched_runs, prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import run_points
from stages.lib.stats.run_points import ALL, Point
from stages.robustness import scores_overlap, scores_recovered, scores_runs
from stages.robustness.config import RobustnessConfig
from stages.robustness.head_sets import TOPIC, WORDING, NamedSet
from stages.robustness.metrics import ChosenSet, Overlaps, RobustnessMetrics, SetPoint
from stages.robustness.schema import SCHEMA
from stages.robustness.scores_runs import UNPATCHED, Answers
from stages.robustness.wordings import DEFAULT


def main(
    pairs: cli.Pairs,
    runs: cli.Runs,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes table.json (one row per set, wording, run and topic) and overlap.json (one "
        "row per pair of sets) into this folder",
    ],
) -> None:
    """Score the sets on the report split, and measure their overlap."""
    options = params.section("robustness", RobustnessConfig)
    config = params.section("patch", PatchConfig)
    table, about = patched_runs.read(runs, SCHEMA, pairs)
    topics = sorted(set(tables.read(pairs, tables.PAIRS)["topic"]))
    wordings = [DEFAULT, *options.wordings]
    known = {split: about.of_split(split) for split in prompt_pairs.SPLITS}
    chosen, scored = (_runs_on(table, split) for split in known.values())
    window = scores_runs.candidates(chosen)
    sets = scores_runs.sets_of(scored, window, wordings)
    runs_by_wording = {
        wording: scores_runs.answers(scored, sets, wording, config) for wording in wordings
    }
    by_topic = points(known["report"], runs_by_wording, topics, config)
    singles = scores_runs.singles(known["selection"], chosen, window, config)
    overlap = scores_overlap.numbers(sets, singles, options.shuffles, options.seed)
    tables.write_rows(plots / "table.json", by_topic)
    tables.write_rows(plots / "overlap.json", scores_overlap.pairs(sets))
    records.write(metrics, summarise(known, runs_by_wording, sets, window, overlap))


def points(
    about: PromptPairs, runs_by_wording: dict[str, Answers], topics: list[str], config: PatchConfig
) -> list[Row]:
    """Measure the accuracy of every run on all statements and on each topic.

    Parameters
    ----------
    about : PromptPairs
        The statements of the report split.
    runs_by_wording : dict of str to dict
        Runs of each wording, from `scores_runs.answers`.
    topics : list of str
        Names of the topics.
    config : PatchConfig
        Section `patch`.

    Returns
    -------
    list of dict
        Rows of plots/robustness/table.json.

    References
    ----------
    arXiv:2311.15131, tables 2 to 4: one set, chosen on one topic and wording, by topic and wording.
    """
    result: list[Row] = []
    for wording, runs in runs_by_wording.items():
        for (chosen_on, name, run), p in runs.items():
            names = {"wording": wording, "chosen_on": chosen_on, "set": name, "run": run}
            for topic in (ALL, *topics):
                point = run_points.measure(about, p, run_points.of_topic(about, topic))
                result.append({**names, **config.personas, "topic": topic, **point.row()})
    return result


def summarise(
    known: dict[str, PromptPairs],
    runs_by_wording: dict[str, Answers],
    sets: list[NamedSet],
    window: list[Head],
    overlap: Overlaps,
) -> RobustnessMetrics:
    """Collect the sets, their scores in each wording, and how they generalise.

    Parameters
    ----------
    known : dict of str to PromptPairs
        The statements by split.
    runs_by_wording : dict of str to dict
        Runs of each wording, from `scores_runs.answers`.
    sets : list of NamedSet
        From `scores_runs.sets_of`.
    window : list of Head
        From `scores_runs.candidates`.
    overlap : Overlaps
        From `scores_overlap.numbers`.
    """
    about, size = known["report"], len(sets[0].heads) if sets else None
    numbers = {
        wording: {run: run_points.measure(about, p) for run, p in runs.items()}
        for wording, runs in runs_by_wording.items()
    }
    by_set: dict[str, dict[str, ChosenSet]] = {}
    for head_set in sets:
        scored = {
            wording: _scored(about, runs_by_wording[wording], points, head_set)
            for wording, points in numbers.items()
        }
        by_set.setdefault(head_set.chosen_on, {})[head_set.name] = ChosenSet(head_set.heads, scored)
    return RobustnessMetrics(
        n_heads=size,
        n_candidates=len(window),
        chosen_by="the heads of the best window that gain most p_correct alone",
        window=layer_window.of(window),
        known={split: run_points.count(about.table) for split, about in known.items()},
        sets=by_set,
        unpatched={
            wording: {
                run: point
                for (chosen_on, _, run), point in points.items()
                if chosen_on == UNPATCHED
            }
            for wording, points in numbers.items()
        },
        generalisation={
            kind: scores_recovered.generalisation(about, runs, sets, kind)
            for kind, runs in (
                (TOPIC, {DEFAULT: runs_by_wording[DEFAULT]}),
                (WORDING, runs_by_wording),
            )
        },
        overlap=overlap,
        overlap_by_chance=scores_overlap.by_chance(len(window), size) if size else None,
    )


def _runs_on(table: pl.DataFrame, pairs: PromptPairs) -> pl.DataFrame:
    """Runs on the statements of the pairs."""
    return table.filter(pl.col("statement_id").is_in(pairs.table["statement_id"].implode()))


def _scored(
    about: PromptPairs, runs: Answers, points: dict[tuple[str, str, str], Point], head_set: NamedSet
) -> SetPoint:
    """Scores of a set under one wording."""
    return SetPoint(
        **vars(points[head_set.chosen_on, head_set.name, "patched"]),
        recovered=scores_recovered.recovered(about, runs, head_set),
        by_label=run_points.by_label(about, runs[head_set.chosen_on, head_set.name, "patched"]),
        reverse=points.get((head_set.chosen_on, head_set.name, "reverse")),
    )


if __name__ == "__main__":
    cli.run(main)
