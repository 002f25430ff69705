"""What the grid says of answerers we know: a liar, an honest one, and who says one word only."""

import json

import numpy as np
import polars as pl
import pytest

from stages.lib import stats
from stages.lib.io import params, tables
from stages.lib.io.cli import UserError
from stages.lib.stats import bootstrap
from stages.wordings import grid, scores_tables
from stages.wordings import scores as stage
from stages.wordings.config import GridConfig
from stages.wordings.metrics import Lying
from tests.intervals import ends, there

N = 40
LABEL = np.arange(N) % 2 == 0
SUBJECT = np.array([f"s{i // 4}" for i in range(N)])
PARAMS = {
    "systems": ["one", "two"],
    "questions": {"q": "{statement}?"},
    "prefixes": {"p": "It is", "r": "So it is"},
    "limit": None,
}
OTHER = (99, " maybe", False)


def statements(label=LABEL, subject=SUBJECT):
    """Half of the statements of each label in either topic."""
    n = len(label)
    return pl.DataFrame(
        {
            "statement_id": [f"{i:016x}" for i in range(n)],
            "topic": [("cities", "metals")[i % 4 > 1] for i in range(n)],
            "statement": [f"Statement {i}." for i in range(n)],
            "label": label,
            "subject": subject,
            "object": [""] * n,
            "template": [""] * n,
            "split": ["report"] * n,
            "origin": ["built-in"] * n,
        },
        schema=tables.STATEMENTS,
    )


def cell(says_true, system="one", prefix="p", top=None):
    """One cell of an answerer who says true where `says_true`; `top`: most likely tokens."""
    said = np.asarray(says_true)
    words = [(7, " true", True) if yes else (8, " false", True) for yes in said]
    tops = [other or word for other, word in zip(top or [None] * len(said), words, strict=True)]
    p = np.where(said, 0.75, 0.125).astype(np.float32)
    ids, texts, answers = zip(*tops, strict=True)
    return pl.DataFrame(
        {
            "system": [system] * len(said),
            "question": ["q"] * len(said),
            "prefix": [prefix] * len(said),
            "statement_id": [f"{i:016x}" for i in range(len(said))],
            "p_true": p,
            "p_false": np.float32(0.875) - p,
            "answer_mass": np.full(len(said), 0.875, np.float32),
            "top_id": ids,
            "top_token": texts,
            "top_is_answer": answers,
        },
        schema=grid.CELLS,
    )


def answer(says_true, label=LABEL, subject=SUBJECT, top=None):
    """One combination's answers."""
    return scores_tables.answers(statements(label, subject), cell(says_true, top=top))


def measured(rates):
    return {
        name: (interval.value, interval.n)
        for name, interval in vars(rates).items()
        if name != "other_token"
    }


class TestMeasure:
    def test_one_word_is_right_on_one_label_alone(self):
        actual = scores_tables.measure(answer(np.zeros(N, bool)))
        assert list(actual) == ["all", "cities", "metals"]
        for topic, n in (("all", N), ("cities", N // 2), ("metals", N // 2)):
            values = measured(actual[topic])
            assert values["accuracy"] == (0.5, n)
            assert values["recall_true"] == (0, n // 2)
            assert values["recall_false"] == (1, n // 2)
            assert values["answer_mass"] == (0.875, n)
            assert values["other"] == (0, n)
            assert actual[topic].other_token is None

    def test_tokens_that_are_no_answer_are_counted_and_the_commonest_is_named(self):
        rare = (3, " who", False)
        top = [OTHER] * 3 + [rare] * 2 + [None] * (N - 5)
        actual = scores_tables.measure(answer(LABEL, top=top))
        assert measured(actual["all"])["other"] == (5 / N, N)
        assert actual["all"].other_token == " maybe"
        assert there(actual["all"].other.low) > 0
        # Equally common: the first by id. And P(true), P(false) decide what the answer is.
        equal = scores_tables.measure(answer(LABEL, top=[OTHER, OTHER, rare, rare, *[None] * 36]))
        assert equal["all"].other_token == " who"
        assert measured(equal["all"])["accuracy"] == (1, N)

    def test_a_split_without_false_statements_has_no_recall_on_them(self):
        label = np.ones(N, bool)
        actual = scores_tables.measure(answer(label, label))["cities"]
        assert actual.recall_false == stats.NOTHING


class TestLying:
    def lying(self, label=LABEL, subject=SUBJECT, **says_true):
        names = {name: (name, "q", "p") for name in says_true}
        actual = {names[n]: answer(said, label, subject) for n, said in says_true.items()}
        result = scores_tables.lying(actual)
        assert list(result) == list(names.values())
        return {name: result[names[name]] for name in names}

    def test_who_is_wrong_on_both_labels_lies_and_nobody_else(self):
        half = LABEL.copy()
        half[::4] = False  # wrong on half of the true statements, right on the false ones
        actual = self.lying(
            honest=LABEL, false=np.zeros(N, bool), liar=~LABEL, true=np.ones(N, bool), half=half
        )
        assert {name: row.value for name, row in actual.items()} == {
            "honest": 0, "false": 0, "liar": 1, "true": 0, "half": 0,
        }  # fmt: skip
        assert {name: row.rank for name, row in actual.items()} == {
            "honest": 2, "false": 2, "liar": 1, "true": 2, "half": 2,
        }  # fmt: skip
        assert {row.n for row in actual.values()} == {N}
        # An accuracy of 0.5 is what saying one word has: it would rank above the honest one.
        assert scores_tables.measure(answer(np.zeros(N, bool)))["all"].accuracy.value == 0.5

    def test_at_the_ends_intervals_have_width_and_differences_need_none(self):
        actual = self.lying(honest=LABEL, liar=~LABEL)
        _, low, high = ends(actual["honest"])
        assert 0 == low < high < 0.5
        _, low, high = ends(actual["liar"])
        assert 0.5 < low < high == 1
        assert actual["honest"].behind == stats.Interval(1, 1, 1, N)
        assert actual["liar"].behind == stats.Interval(0, 0, 0, N)

    def test_the_lesser_share_counts(self):
        said = ~LABEL
        said[LABEL] = np.arange(N // 2) < 5  # a quarter of the true ones is called true
        (row,) = self.lying(one=said).values()
        share = stats.rate(~said[LABEL], SUBJECT[LABEL])
        assert row.value == share.value == 0.75
        assert (row.low, row.high) == (share.low, share.high)

    def test_a_small_difference_is_told_from_none_by_pairing(self):
        rng = np.random.default_rng(0)
        n, subject = 400, np.array([f"s{i}" for i in range(400)])
        label = np.arange(n) % 2 == 0
        noisy = label ^ (rng.random(n) < 0.5)
        better = np.where(rng.random(n) < 0.15, ~label, noisy)  # lies a little more often
        actual = self.lying(label, subject, better=better, noisy=noisy, again=noisy)
        assert there(actual["noisy"].high) > there(actual["better"].low)  # their intervals overlap
        assert there(actual["noisy"].behind.low) > 0
        assert actual["noisy"].behind == actual["again"].behind
        assert [actual[name].rank for name in ("better", "noisy", "again")] == [1, 2, 2]

    def test_the_same_numbers_at_every_call_and_in_any_order_of_the_others(self):
        noisy = np.random.default_rng(0).random(N) < 0.5
        first = self.lying(a=noisy, b=LABEL, c=~LABEL)
        assert self.lying(c=~LABEL, b=LABEL, a=noisy) == {name: first[name] for name in "cba"}

    def test_with_one_label_alone_nothing_is_said(self):
        label = np.ones(N, bool)
        (row,) = self.lying(label=label, one=label).values()
        assert row == Lying(None, None, None, 0, stats.NOTHING, None)
        rows = scores_tables.ranking_rows({("one", "q", "p"): row})
        assert rows[0]["lying"] is None

    def test_one_statement_of_a_label(self):
        label = np.arange(N) == 0
        (row,) = self.lying(label, one=~label).values()
        assert (row.value, row.low, row.high) == (1, 0, 1)

    @pytest.mark.parametrize(("p_true", "p_false"), [(0.5, 0.5), (0.95, 0.97), (0.9, 0.5)])
    def test_intervals_hold_the_truth_where_a_bootstrap_of_the_least_does_not(
        self, p_true, p_false
    ):
        rng, n_subjects = np.random.default_rng(0), 60
        subject = np.repeat(np.arange(n_subjects), 4).astype(str)
        label = np.tile([True, False], 2 * n_subjects)
        held, held_by_bootstrap, runs = 0, 0, 200
        for _ in range(runs):
            wrong = rng.random(len(label)) < np.where(label, p_true, p_false)
            shares = [stats.rate(wrong[of], subject[of]) for of in (label, ~label)]
            actual = scores_tables._minimum(shares)
            held += actual.low <= min(p_true, p_false) <= actual.high
            draws = scores_tables._draws(wrong[None], label, subject, 0)[:, 0]
            low, high = stats.bootstrapped(draws, n_subjects)
            held_by_bootstrap += low <= min(p_true, p_false) <= high
        assert held / runs >= 0.925  # two standard errors below 0.95 would be 0.92
        if p_true == p_false:
            assert held_by_bootstrap / runs < 0.925


def test_draws_are_those_of_a_loop():
    """The vectorised draws, one by one."""
    rng = np.random.default_rng(1)
    wrong = rng.random((3, N)) < 0.6
    _, index = np.unique(SUBJECT, return_inverse=True)
    drawn = np.random.default_rng(5).multinomial(10, np.full(10, 0.1), stats.DRAWS)
    expected = []
    for counts in drawn[:50]:
        weight = counts[index]
        shares = [[np.average(w[of], weights=weight[of]) for of in (LABEL, ~LABEL)] for w in wrong]
        expected.append(np.min(shares, axis=1))
    actual = scores_tables._draws(wrong, LABEL, SUBJECT, 5)
    assert actual.shape == (stats.DRAWS, 3)
    assert stats.DRAWS >= 2000
    np.testing.assert_allclose(actual[:50], expected, rtol=1e-12)
    assert bootstrap.means(np.ones((1, N)), SUBJECT, np.random.default_rng(0)).max() == 1


class TestSample:
    def test_splits_and_labels_take_equal_shares(self):
        actual = grid.sample(statements(), 4)
        assert actual.group_by("topic", "label").len()["len"].to_list() == [2, 2, 2, 2]
        assert actual["statement_id"].is_sorted()

    def test_null_keeps_all_and_a_larger_limit_only_adds(self):
        assert grid.sample(statements(), None).equals(statements())
        few, more = (set(grid.sample(statements(), limit)["statement_id"]) for limit in (3, 7))
        assert few < more


CELLS = [
    cell(said, system, prefix)
    for system, said in (("one", LABEL), ("two", ~LABEL))
    for prefix in PARAMS["prefixes"]
]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """Params, statements and cells: system `one` is honest and `two` lies, with either prefix."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps({"grid": PARAMS}))
    tables.write(tmp_path / "statements.parquet", statements(), tables.STATEMENTS, ["statement_id"])
    write_cells(tmp_path, CELLS)
    return tmp_path


def write_cells(folder, cells):
    keys = [*grid.WORDINGS, "statement_id"]
    tables.write(folder / "wordings.parquet", pl.concat(cells), grid.CELLS, keys)


def run(folder):
    paths = ("statements.parquet", "wordings.parquet", "metrics.json", "plots")
    stage.main(*(folder / path for path in paths))
    return json.loads((folder / "metrics.json").read_text())


def test_the_stage_writes_every_combination_and_split(project):
    actual = run(project)
    for system, accuracy in (("one", 1), ("two", 0)):
        for prefix in ("p", "r"):
            topics = actual["answers"][system]["q"][prefix]
            assert sorted(topics) == ["all", "cities", "metals"]
            assert {topic["accuracy"]["value"] for topic in topics.values()} == {accuracy}
            assert actual["lying"][system]["q"][prefix]["value"] == 1 - accuracy
    recall = tables.read_json(project / "plots/recall.json")
    assert len(recall) == 4 * 3
    assert [row["topic"] for row in recall[:5]] == ["all"] * 4 + ["cities"]
    ranking = tables.read_json(project / "plots/ranking.json")
    assert [(row["system"], row["prefix"], row["rank"]) for row in ranking] == [
        ("one", "p", 3), ("one", "r", 3), ("two", "p", 1), ("two", "r", 1),
    ]  # fmt: skip
    first = (project / "metrics.json").read_bytes()
    run(project)
    assert (project / "metrics.json").read_bytes() == first


def test_cells_are_in_the_order_in_which_they_are_declared(project):
    turned = {"systems": ["two", "one"], "prefixes": dict(reversed(PARAMS["prefixes"].items()))}
    (project / "params.yaml").write_text(json.dumps({"grid": PARAMS | turned}))
    config = params.section("grid", GridConfig)
    actual = grid.read_cells(project / "wordings.parquet", config, statements()["statement_id"])
    assert list(actual) == config.combinations
    assert list(actual) == [(s, "q", p) for s in ("two", "one") for p in ("r", "p")]
    for (system, question, prefix), rows in actual.items():
        assert rows.select(grid.WORDINGS).unique().rows() == [(system, question, prefix)]
        assert rows["statement_id"].equals(statements()["statement_id"])


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (CELLS[:-1], r"found cells .*'p'\)\], expected .*'r'\)\]; run `dvc repro`"),
        (CELLS[:2], r"found cells .*'one', 'q', 'r'\)\], expected .*\('two', 'q', 'p'\)"),
        ([*CELLS, cell(LABEL, "three")], r"found cells .*'three'.*, expected \[\('one'"),
        ([*CELLS, cell(LABEL, "two", "s")], r"found cells .*'s'\)\], expected .*'r'\)\]"),
        ([rows[:-1] for rows in CELLS], "found 39 statement_ids, expected the 40"),
        ([*CELLS[:-1], CELLS[-1][1:]], "found 39 statement_ids, expected the 40"),
    ],
    ids=["one less", "a system less", "a system more", "one more", "short", "one short"],
)
def test_cells_of_other_wordings_or_statements_are_refused(cells, message, project):
    write_cells(project, cells)
    with pytest.raises(UserError, match=rf"wordings\.parquet: {message}") as error:
        run(project)
    assert "\n" not in str(error.value)
    assert not (project / "metrics.json").exists()


def test_a_missing_table_is_named(project):
    (project / "wordings.parquet").unlink()
    with pytest.raises(UserError, match=r"wordings\.parquet: no such file"):
        run(project)
