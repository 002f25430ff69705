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
from tests.intervals import there

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


def run(right, name, source, base, draw=0, n=N):
    """A run of some statements whose right answers have this probability."""
    true = np.where(LABEL, right, 1 - right)
    p = np.stack([true, 1 - true], axis=-1).astype(np.float32)
    rows = patched_runs.rows(ABOUT, p, source, base, f"{name}_{draw}", [Head(1, 2)])
    return rows.head(n).with_columns(run=pl.lit(name), draw=pl.lit(draw, pl.Int32))


def scored(random, n=N):
    """Scores of a set that is right with probability 0.8, among random sets on n statements."""
    table = pl.concat(
        [
            run(1.0, "source", "honest", "honest"),
            run(0.8, "patched", "honest", "liar"),
            run(0.1, "base", "liar", "liar"),
            run(0.3, "reverse", "liar", "honest"),
            *(run(right, "random", "honest", "liar", i, n) for i, right in enumerate(random)),
        ]
    )
    runs = scores.read_runs(ABOUT, table.sample(fraction=1, shuffle=True, seed=0), CONFIG)
    return scores.score(runs, [ALL, "a", "b", "none known"])


def test_runs_stand_by_split_and_differences_are_of_both_directions():
    metrics = scores.summarise(ABOUT, scored([]), n_heads=1)
    assert metrics.known == Count(true=4, false=4)
    accuracy = {name: point.accuracy for name, point in metrics.by_topic["a"].items()}
    assert accuracy == {"source": 1.0, "patched": 1.0, "base": 0.0, "reverse": 0.0}
    assert metrics.by_topic["none known"]["patched"].accuracy is None
    assert metrics.effect["patched - base"].p_correct.value == pytest.approx(0.7)
    assert metrics.effect["reverse - source"].p_correct.value == pytest.approx(-0.7)


@pytest.mark.parametrize("n", [N, 4])
def test_the_p_value_counts_the_set_and_the_random_sets_that_are_as_good(n):
    metrics = scores.summarise(ABOUT, scored([0.2, 0.3, 0.9], n), n_heads=1)
    p_correct, accuracy = metrics.random.p_correct, metrics.random.accuracy
    assert (p_correct.n_sets, p_correct.p_value, p_correct.p_least) == (3, 0.5, 0.25)
    values = (p_correct.own, p_correct.mean, p_correct.max, p_correct.lead.value)
    assert values == pytest.approx((0.8, 1.4 / 3, 0.9, 1 / 3))
    assert (accuracy.own, accuracy.mean, accuracy.max, accuracy.p_value) == (1.0, 1 / 3, 1.0, 0.5)
    assert accuracy.lead.n == n
    assert metrics.known == Count(true=4, false=4)
    assert metrics.elsewhere.p_correct == Rank.of_none(0)


def test_the_set_is_placed_on_the_statements_of_the_random_sets():
    """Were its other statements counted, a set that fails on them would seem to do worse."""
    table = pl.concat(
        [
            run(np.where(np.arange(N) < 4, 0.9, 0.1), "patched", "honest", "liar"),
            *(run(0.7, "random", "honest", "liar", i, n=4) for i in range(2)),
        ]
    )
    scores_of = scores.score(scores.read_runs(ABOUT, table, CONFIG), [ALL])
    ranks = scores._ranks([one.run for one in scores_of], "random")
    assert ranks.p_correct.own == pytest.approx(0.9)
    assert ranks.p_correct.p_value == pytest.approx(1 / 3)
    (overall,) = (one for one in scores_of if one.run.name == "patched")
    assert overall.point.p_correct == pytest.approx(0.5)


def test_rows_name_their_draw():
    rows = [scores._row(one) for one in scored([0.2, 0.3])]
    assert [row["draw"] for row in rows if (row["topic"], row["run"]) == (ALL, "random")] == [0, 1]
    assert list(rows[0])[:6] == ["topic", "run", "source", "base", "draw", "accuracy"]


def test_as_good_is_within_the_margin_and_has_the_interval_of_so_many_draws():
    """The set has 0.8: 0.76 is as good, 0.74 is not."""
    rank = scores.summarise(ABOUT, scored([0.76, 0.74, 0.9, 0.1]), n_heads=1).random.p_correct
    assert (rank.as_good.value, rank.as_good.n, rank.p_value) == (0.5, 4, 0.6)
    assert (rank.as_good.low, rank.as_good.high) == pytest.approx((0.0676, 0.9324), abs=1e-4)
    assert rank.median == pytest.approx(0.75)
    assert there(rank.p05) < 0.74 < 0.76 < there(rank.p95)


def test_a_set_that_is_the_margin_below_is_as_good_though_floats_round():
    """21 of 40 and 19 of 40 differ by 0.05, and by a little more as floats."""
    assert 21 / 40 - 0.05 > 19 / 40
    about = PromptPairs(
        pl.DataFrame(
            {
                "statement_id": [f"{i:02}" for i in range(40)],
                "topic": ["a"] * 40,
                "label": [True] * 40,
                "subject": [f"s{i}" for i in range(40)],
            }
        ),
        [[]] * 40,
        [[]] * 40,
    )

    def answers(name, n_right, draw=0):
        true = np.where(np.arange(40) < n_right, 0.9, 0.1)
        p = np.stack([true, 1 - true], axis=-1).astype(np.float32)
        rows = patched_runs.rows(about, p, "honest", "liar", f"{name}_{draw}", [Head(1, 2)])
        return rows.with_columns(run=pl.lit(name), draw=pl.lit(draw, pl.Int32))

    table = pl.concat(
        [answers("patched", 21), *(answers("random", n, i) for i, n in enumerate((19, 18)))]
    )
    runs = scores.read_runs(about, table, CONFIG)
    assert scores._ranks(runs, "random").accuracy.as_good.value == 0.5


def test_one_word_for_everything_is_told_from_half_of_the_lie():
    """Both are right on half: one on the true statements alone, the other on half of each label."""
    constant = np.where(LABEL, 0.9, 0.1)
    half = np.where(np.arange(N) < N // 2, 0.9, 0.1)
    for right, one_answer, by_label in ((constant, 3, (1.0, 0.0)), (half, 0, (0.5, 0.5))):
        ranks = scores.summarise(ABOUT, scored([right] * 3), n_heads=1).random
        assert ranks.accuracy.mean == 0.5
        assert ranks.one_answer == one_answer
        both = there(ranks.by_label)
        assert (both.true.value, both.false.value) == by_label


def test_random_sets_are_counted_by_the_heads_that_they_share():
    table = pl.concat(
        [
            run(0.8, "patched", "honest", "liar"),
            run(0.9, "random", "honest", "liar", 0),
            run(0.1, "random", "honest", "liar", 1).with_columns(
                heads=pl.lit(
                    [{"layer": 1, "head": 3}],
                    pl.List(pl.Struct({"layer": pl.Int32, "head": pl.Int32})),
                )
            ),
        ]
    )
    runs = scores.read_runs(ABOUT, table, CONFIG)
    shared = scores._ranks(runs, "random").shared
    assert {count: (row.n_sets, row.accuracy) for count, row in shared.items()} == {
        "0": (1, 0.0),
        "1": (1, 1.0),
    }


def test_runs_are_scored_by_label():
    metrics = scores.summarise(ABOUT, scored([]), n_heads=1)
    assert set(metrics.by_label) == {"source", "patched", "base", "reverse"}
    assert metrics.by_label["patched"].true.value == metrics.by_label["patched"].false.value == 1.0
    assert metrics.by_label["base"].false.n == N // 2
