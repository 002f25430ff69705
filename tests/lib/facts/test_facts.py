"""Built-in topics: each fact is right, and nothing but the fact tells true from false."""

from collections import Counter
from functools import cache

import numpy as np
import polars as pl
import pytest
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression

from stages.lib.facts import TOPICS, arrange
from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Template, Topic, swapped

DRAW = Draw(seed=0, report_share=0.5)
NAMES = sorted(TOPICS)


@cache
def topic(name: str) -> Topic:
    return TOPICS[name]()


def rows(
    name: str, limit: int | None = None, negated: bool = False, draw: Draw = DRAW
) -> pl.DataFrame:
    return arrange.rows(name, topic(name), draw, limit, negated)


def true_pairs(name: str) -> set[tuple[str, str]]:
    table = rows(name).filter(pl.col("label"))
    return set(zip(table["subject"], table["object"], strict=True))


KNOWN_BY_HEART = {
    "capitals": {
        "France": "Paris",
        "Japan": "Tokyo",
        "Australia": "Canberra",
        "Canada": "Ottawa",
        "Turkey": "Ankara",
        "the United Kingdom": "London",
    },
    "cities": {"Shanghai": "China", "Mumbai": "India", "Istanbul": "Turkey", "Lagos": "Nigeria"},
    "continents": {"Kenya": "Africa", "China": "Asia", "Peru": "South America", "Italy": "Europe"},
    "currencies": {
        "Japan": "yen",
        "Germany": "euro",
        "the United Kingdom": "pound",
        "India": "rupee",
        "Mexico": "peso",
        "China": "yuan",
    },
}


@pytest.mark.parametrize("name", sorted(KNOWN_BY_HEART))
def test_what_every_reader_knows_is_stated_as_true(name: str) -> None:
    stated = dict(true_pairs(name))
    assert {subject: stated[subject] for subject in KNOWN_BY_HEART[name]} == KNOWN_BY_HEART[name]


def test_elements_are_right() -> None:
    pairs = true_pairs("elements")
    assert {("gold", "Au"), ("gold", "79"), ("iron", "Fe"), ("hydrogen", "1")} <= pairs
    assert {("sodium", "Na"), ("oxygen", "8"), ("uranium", "92"), ("lead", "Pb")} <= pairs


def test_comparisons_are_right() -> None:
    for row in rows("comparisons").iter_rows(named=True):
        larger = int(row["subject"]) > int(row["object"])
        says_larger = "larger" in row["statement"] or "greater" in row["statement"]
        assert row["label"] == (larger == says_larger), row["statement"]


@pytest.mark.parametrize(
    ("name", "absent"),
    [
        ("capitals", ["South Africa", "Bolivia", "Kazakhstan", "Israel", "Taiwan", "Singapore"]),
        ("continents", ["Russia", "Turkey", "Egypt", "Kazakhstan", "Indonesia", "Australia"]),
        ("currencies", ["Bulgaria", "Ecuador", "Venezuela", "Zimbabwe", "El Salvador"]),
        ("cities", ["Brooklyn", "Singapore", "Jerusalem", "Hong Kong", "Valencia"]),
    ],
)
def test_what_could_be_disputed_is_not_stated(name: str, absent: list[str]) -> None:
    assert not set(topic(name).subjects) & set(absent)


def test_no_country_is_denied_a_city_of_that_name() -> None:
    stated_false = set(
        rows("cities").filter(~pl.col("label")).select("subject", "object").iter_rows()
    )
    namesakes = {("Birmingham", "the United States"), ("London", "Canada"), ("La Paz", "Mexico")}
    assert not stated_false & namesakes
    claims = topic("cities").templates[0].claims
    assert claims("London", "Toronto") == []
    assert claims("London", "Munich") == [
        ("London", "the United Kingdom", True),
        ("London", "Germany", False),
        ("Munich", "the United Kingdom", False),
        ("Munich", "Germany", True),
    ]


def test_no_currency_is_denied_that_was_given_up_of_late_or_sounds_alike() -> None:
    claims = topic("currencies").templates[0].claims
    assert claims("Italy", "Turkey") == []  # the lira
    assert claims("Sweden", "Norway") == []  # the krona and the krone
    assert claims("Switzerland", "Senegal") == []  # the franc and the CFA franc
    assert claims("Italy", "Japan") != []


@pytest.mark.parametrize("name", NAMES)
def test_no_false_statement_is_true_by_another_row(name: str) -> None:
    table = rows(name)
    stated = {
        label: set(table.filter(label=label).select("subject", "object", "template").iter_rows())
        for label in (True, False)
    }
    assert not stated[True] & stated[False]
    objects = {kind for _, kind in true_pairs(name)}
    assert set(table["object"]) <= objects  # a false object is another subject's true one


def test_two_subjects_with_one_object_are_not_paired() -> None:
    claims = swapped({"France": "euro", "Italy": "euro", "Japan": "yen"})
    assert claims("France", "Italy") == []
    assert len(claims("France", "Japan")) == 4


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("limit", [None, 40, 24])
@pytest.mark.parametrize("name", NAMES)
def test_half_of_every_split_part_and_template_is_true(
    name: str, limit: int | None, negated: bool
) -> None:
    table = rows(name, limit, negated)
    if limit is not None:
        assert table.height == limit
    for by in (["topic"], ["split"], ["template"], ["split", "template"]):
        for _, group in table.group_by(by):
            assert group["label"].sum() * 2 == group.height
    assert table["template"].n_unique() == len(topic(name).templates) >= 3


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 39, 41, 43])
@pytest.mark.parametrize("name", NAMES)
def test_an_odd_limit_costs_at_most_one_row_of_balance(name: str, limit: int) -> None:
    table = rows(name, limit)
    assert table.height == limit
    for _, group in table.group_by("template"):
        assert abs(group["label"].sum() * 2 - group.height) <= 1


@pytest.mark.parametrize("limit", [None, 40])
@pytest.mark.parametrize("name", NAMES)
def test_subjects_and_objects_are_as_often_in_true_as_in_false(
    name: str, limit: int | None
) -> None:
    table = rows(name, limit)
    columns = [table["subject"].to_list(), table["object"].to_list()]
    if name == "comparisons":  # both are numbers, and each statement has its mirror
        columns = [columns[0] + columns[1]]
    for words in columns:
        labels = table["label"].to_list() * (len(words) // table.height)
        counts = Counter(zip(words, labels, strict=True))
        assert all(counts[word, True] == counts[word, False] for word in words)


def accuracy_of_a_bag_of_tokens(table: pl.DataFrame) -> float:
    """Fit on one split, score on the other, as the probes do."""
    bag = CountVectorizer(token_pattern=r"\w+", lowercase=False, ngram_range=(1, 1))
    tokens = bag.fit_transform(table["statement"].to_list())
    labels, train = table["label"].to_numpy(), (table["split"] == "selection").to_numpy()
    fit = LogisticRegression(max_iter=1000).fit(tokens[train], labels[train])
    return float(fit.score(tokens[~train], labels[~train]))


@pytest.mark.parametrize("negated", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_bag_of_tokens_does_not_know_the_label(name: str, negated: bool) -> None:
    # 0.05: about twice the standard error of a rate over the 300 statements of a split
    assert accuracy_of_a_bag_of_tokens(rows(name, None, negated)) == pytest.approx(0.5, abs=0.05)


def test_a_bag_of_tokens_knows_a_label_that_a_token_gives_away() -> None:
    told = pl.when(pl.col("label")).then(pl.lit(" indeed")).otherwise(pl.lit(" maybe"))
    table = rows("capitals").with_columns(pl.col("statement") + told)
    assert accuracy_of_a_bag_of_tokens(table) == 1.0


def test_the_size_of_a_number_says_little_about_the_label() -> None:
    table = rows("comparisons").filter(pl.col("template").str.contains("larger|greater"))
    size = np.array([int(number) for number in table["subject"]])
    label = table["label"].to_numpy()
    larger = (size[label][:, None] > size[~label][None, :]).mean()  # area under the ROC curve
    assert 0.5 < larger < 0.6


@pytest.mark.parametrize("name", NAMES)
def test_a_negated_split_says_the_opposite_of_the_same(name: str) -> None:
    plain, negated = rows(name, 40), rows(name, 40, negated=True)
    assert plain["label"].to_list() == (~negated["label"]).to_list()
    for column in ("subject", "object", "split"):
        assert plain[column].to_list() == negated[column].to_list()
    assert all(" not " in f" {text} " for text in negated["statement"])
    assert not any(" not " in f" {text} " for text in plain["statement"])


def test_statements_are_sentences() -> None:
    for name in NAMES:
        for row in rows(name).iter_rows(named=True):
            said = row["template"].format(subject=row["subject"], object=row["object"])
            assert row["statement"][0] == said[0].upper()
            assert row["statement"][1:] == said[1:]
            assert row["statement"].endswith(".")
            assert not row["statement"].endswith("..")
            assert "  " not in row["statement"]
    stated = set(rows("capitals")["statement"])
    assert "The capital of the United States is Washington." in stated
    assert "The Philippines has Manila as its capital." in stated
    assert not any(" The " in text for text in stated)


@pytest.mark.parametrize("name", NAMES)
def test_parts_share_no_subject_and_a_limit_leaves_both(name: str) -> None:
    for limit in (None, 40, 8):
        splits = rows(name, limit).group_by("split").agg("subject")
        assert set(splits["split"]) == {"selection", "report"}
        one, other = (set(subjects) for subjects in splits["subject"])
        assert not one & other


def test_a_subject_has_the_same_part_in_every_split() -> None:
    tables = [rows(name) for name in NAMES] + [rows(name, None, True) for name in NAMES]
    splits = pl.concat(tables).group_by("subject").agg(pl.col("split").n_unique())
    assert splits["split"].to_list() == [1] * splits.height
    shared = set(rows("capitals")["subject"]) & set(rows("currencies")["subject"])
    assert len(shared) > 50


def test_another_seed_draws_other_parts_and_the_share_holds() -> None:
    subjects = [f"subject {i}" for i in range(4000)]
    for share in (0.2, 0.5):
        draw = Draw(seed=0, report_share=share)
        result = np.mean([draw.split(subject) == "report" for subject in subjects])
        assert result == pytest.approx(share, abs=0.03)  # four standard errors
    agree = np.mean([Draw(0, 0.5).split(s) == Draw(1, 0.5).split(s) for s in subjects])
    assert agree == pytest.approx(0.5, abs=0.03)


def test_a_larger_share_moves_subjects_one_way_only() -> None:
    small, large = Draw(0, 0.3), Draw(0, 0.6)
    reported = [s for s in topic("capitals").subjects if small.split(s) == "report"]
    assert reported
    assert all(large.split(subject) == "report" for subject in reported)


def test_names_of_rows_are_unique_and_do_not_change() -> None:
    tables = [rows(name, None, negated) for name in NAMES for negated in (False, True)]
    assert pl.concat(tables)["statement_id"].is_unique().all()
    table = rows("capitals")
    row = table.filter(statement="The capital of France is Paris.").row(0, named=True)
    assert row["statement_id"] == "0893b6d79719e5ab"
    assert row["origin"] == "built-in"


def test_a_limit_keeps_the_front_and_other_seeds_choose_others() -> None:
    assert rows("capitals", 40).equals(rows("capitals").head(40))
    assert rows("capitals", 40).equals(rows("capitals", 40))
    other = rows("capitals", 40, draw=Draw(1, 0.5))
    assert set(other["statement"]) != set(rows("capitals", 40)["statement"])


@pytest.mark.parametrize("name", sorted(set(NAMES) - {"comparisons"}))
def test_a_limit_takes_as_many_subjects_as_it_can(name: str) -> None:
    assert rows(name, 40)["subject"].n_unique() == 20


def test_an_unpaired_subject_is_left_out() -> None:
    claims = swapped({"a": "1", "b": "2", "c": "3"})
    three = Topic(
        ("a", "b", "c"), (Template("{subject} {object}", "{subject} no {object}", claims),)
    )
    table = arrange.rows("letters", three, Draw(0, 1.0), None, negated=False)
    assert table.height == 4
    assert table["subject"].n_unique() == 2


def test_a_name_that_tells_its_object_is_left_out() -> None:
    assert not {"Mexico", "Tunisia", "Algeria"} & set(topic("capitals").subjects)
    assert {"Mexico", "Tunisia", "Algeria"} <= set(topic("continents").subjects)
