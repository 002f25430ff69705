"""The head set is scored by topic and direction, and placed among random sets."""

import numpy as np
import polars as pl
import pytest

from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.lib.stats.run_points import ALL, Count
from stages.transplant import scores
from stages.transplant.metrics import Rank

N = 8
LABEL = np.arange(N) % 2 == 0
CONFIG = PatchConfig(source="honest", base="liar", positions=5)
ABOUT = PromptPairs(
    pl.DataFrame(
        {
            "statement_id": [f"{i:02}" for i in range(N)],
            "topic": ["a", "b"] * (N // 2),
            "label": LABEL,
            "subject": [f"s{i}" for i in range(N)],
        }
    ),
    [[]] * N,
    [[]] * N,
)


def run(right, name, source, base, draw=0):
    """A run whose right answers have this probability."""
    true = np.where(LABEL, right, 1 - right)
    p = np.stack([true, 1 - true], axis=-1).astype(np.float32)
    rows = patched_runs.rows(ABOUT, p, source, base, f"{name}_{draw}", [Head(1, 2)])
    return rows.with_columns(run=pl.lit(name), draw=pl.lit(draw, pl.Int32))


def scored(random):
    """Scores of a set that is right with probability 0.8, among random sets."""
    table = pl.concat(
        [
            run(1.0, "source", "honest", "honest"),
            run(0.8, "patched", "honest", "liar"),
            run(0.1, "base", "liar", "liar"),
            run(0.3, "reverse", "liar", "honest"),
            *(run(right, "random", "honest", "liar", i) for i, right in enumerate(random)),
        ]
    )
    runs = scores.read_runs(table.sample(fraction=1, shuffle=True, seed=0), CONFIG)
    return scores.score(ABOUT, runs, [ALL, "a", "b", "none known"])


def test_runs_stand_by_split_and_differences_are_of_both_directions():
    metrics = scores.summarise(ABOUT, scored([]), n_heads=1)
    assert metrics.known == Count(true=4, false=4)
    accuracy = {name: point.accuracy for name, point in metrics.by_topic["a"].items()}
    assert accuracy == {"source": 1.0, "patched": 1.0, "base": 0.0, "reverse": 0.0}
    assert metrics.by_topic["none known"]["patched"].accuracy is None
    assert metrics.effect["patched - base"].p_correct.value == pytest.approx(0.7)
    assert metrics.effect["reverse - source"].p_correct.value == pytest.approx(-0.7)


def test_the_p_value_counts_the_set_and_the_random_sets_that_are_as_good():
    metrics = scores.summarise(ABOUT, scored([0.2, 0.3, 0.9]), n_heads=1)
    p_correct = metrics.random.p_correct
    assert (p_correct.n_sets, p_correct.p_value) == (3, 0.5)
    assert (p_correct.mean, p_correct.max) == pytest.approx((1.4 / 3, 0.9))
    assert metrics.random.accuracy == Rank(n_sets=3, mean=1 / 3, max=1.0, p_value=0.5)
    assert metrics.elsewhere.p_correct == Rank(n_sets=0, mean=None, max=None, p_value=None)


def test_rows_name_their_draw():
    rows = [scores._row(one) for one in scored([0.2, 0.3])]
    assert [row["draw"] for row in rows if (row["topic"], row["run"]) == (ALL, "random")] == [0, 1]
    assert list(rows[0])[:6] == ["topic", "run", "source", "base", "draw", "accuracy"]
