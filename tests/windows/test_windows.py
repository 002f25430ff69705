"""The best window is chosen on one split, and only where both labels are known."""

import numpy as np
import polars as pl
import pytest

from stages.lib.io import tables
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.layer_window import Window
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats import chosen_window
from stages.lib.stats.run_points import Count
from stages.windows import scores

COLUMNS = ("statement_id", "topic", "label", "subject", "split")
CONFIG = PatchConfig(source="honest", base="liar", positions=5)


def pairs(labels):
    n = len(labels)
    table = pl.DataFrame(
        {
            "statement_id": [f"{i:02d}" for i in range(n)],
            "topic": ["a"] * n,
            "label": labels,
            "subject": [f"s{i}" for i in range(n)],
            "split": ["selection", "report"] * (n // 2),
        },
        schema={name: tables.STATEMENTS[name] for name in COLUMNS},
    )
    return PromptPairs(table, [[0]] * n, [[0]] * n)


def runs(about, right):
    """Windows that answer rightly on each split with a given probability; the base run lies."""
    split = (about.table["split"] == "report").to_numpy().astype(int)

    def rows(p, *names):
        true = np.where(about.label, p, 1 - p)
        return patched_runs.rows(about, np.stack([true, 1 - true], -1), *names)

    unpatched = [rows(0.0, "liar", "liar"), rows(1.0, "honest", "honest")]
    patched = [
        rows(np.array(window)[split], "honest", "liar", f"window_{first}").with_columns(
            first_layer=pl.lit(first), last_layer=pl.lit(first + 1)
        )
        for first, window in enumerate(right)
    ]
    table = pl.concat([*unpatched, *patched], how="diagonal")
    return table.sample(fraction=1.0, shuffle=True, seed=0)


# (selection, report): the second window is best on the split that chooses, the third on the other
RIGHT = [(0.1, 0.1), (0.9, 0.2), (0.6, 0.99)]


def scored(about, table):
    points = scores.by_window(about, table, CONFIG)
    return points, scores.summarise(about, table, points, CONFIG)


def test_the_window_is_chosen_on_the_selection_part():
    about = pairs([True, True, False, False] * 3)
    points, metrics = scored(about, runs(about, RIGHT))
    assert metrics.best == Window(first_layer=1, last_layer=2)
    report = metrics.runs["report"]
    assert {run: point.accuracy for run, point in report.items()} == {
        "patched": 0.0, "source": 1.0, "base": 0.0,
    }  # fmt: skip
    assert metrics.known["report"] == Count(true=3, false=3)
    assert len(points) == 2 * 3 * 3
    best = next(p for p in points if (p["split"], p["first_layer"]) == ("selection", 1))
    assert (best["run"], best["p_correct"]) == ("patched", pytest.approx(0.9))


def test_windows_as_accurate_as_the_best_one_are_told_with_their_p_correct():
    about = pairs([True, True, False, False] * 3)
    _, metrics = scored(about, runs(about, [(0.4, 0.9), (0.7, 0), (0.9, 0), (0.8, 0)]))
    assert metrics.best == Window(first_layer=2, last_layer=3)
    assert metrics.as_accurate == {"1": pytest.approx(0.7), "3": pytest.approx(0.8)}


def test_of_windows_that_are_equally_good_the_lowest_is_chosen():
    about = pairs([True, True, False, False])
    assert chosen_window.best(runs(about, [(0.4, 0), (0.7, 0), (0.7, 1)]), about) == Window(1, 2)


def test_no_window_is_chosen_where_a_constant_answer_would_be_right():
    about = pairs([False] * 12)
    _, metrics = scored(about, runs(about, RIGHT))
    assert metrics.best is None
    assert "not both labels" in metrics.chosen_by
    assert set(metrics.runs["report"]) == {"source", "base"}


def test_nothing_known_gives_no_points_and_no_window():
    about = pairs([])
    points, metrics = scored(about, runs(about, RIGHT))
    assert points == []
    assert metrics.best is None
    assert metrics.known["report"] == Count(true=0, false=0)
    assert {point.accuracy for point in metrics.runs["report"].values()} == {None}
