"""Which statements a patching stage works on, and their prompts."""

import json

import polars as pl
import pytest

from stages import pairs
from stages.lib.io import row_order, tables
from stages.lib.io.cli import UserError
from stages.lib.patching import prompt_pairs


def known(n=60):
    ids = [f"{i * 7919 % 1000:04d}" for i in range(n)]
    topic = ["a" if i % 6 else "b" for i in range(n)]
    return pl.DataFrame(
        {"statement_id": ids, "topic": topic, "label": [i % 2 == 0 for i in range(n)]}
    )


def test_a_sample_takes_turns_and_is_stable():
    sample = prompt_pairs.sample(known(), 16, ["topic", "label"])
    assert len(sample) == 16
    counts = sample.group_by("topic", "label").len().sort("topic", "label")
    # "b" has only true rows (10 of them): three groups take turns
    assert counts["len"].to_list() in ([5, 5, 6], [5, 6, 5], [6, 5, 5])
    shuffled = known().sample(fraction=1, shuffle=True, seed=3)
    assert prompt_pairs.sample(shuffled, 16, ["topic", "label"]).equals(sample)
    assert sample["statement_id"].is_sorted()


def test_a_larger_sample_holds_the_smaller_and_none_takes_all():
    small, large = (
        set(prompt_pairs.sample(known(), n, ["topic"])["statement_id"]) for n in (10, 20)
    )
    assert small < large
    assert len(prompt_pairs.sample(known(), None, ["topic"])) == 60


class Files:
    """Tables in a folder, and what stage `pairs` makes of them."""

    def __init__(self, folder):
        self.folder = folder
        roles = {"source": "honest", "base": "liar", "positions": 2, "site": "z"}
        (folder / "params.yaml").write_text(json.dumps({"patch": roles}))

    def __getitem__(self, name):
        return self.folder / name

    def read(self, *arguments, **options):
        pairs.main(self["statements"], self["known"], self.folder, self["pairs"])
        return prompt_pairs.read(self["pairs"], *arguments, **options)


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Twelve statements of two topics, the last two unknown; token ids tell the prompts apart."""
    monkeypatch.chdir(tmp_path)
    ids = [f"{i:02d}" for i in range(12)]
    statements = pl.DataFrame(
        {
            "statement_id": ids,
            "topic": ["a", "b"] * 6,
            "statement": [f"S{i}." for i in ids],
            "label": [True, True, False, False] * 3,
            "subject": [f"s{i}" for i in range(12)],
            "object": [""] * 12,
            "template": [""] * 12,
            "split": ["selection"] * 6 + ["report"] * 6,
            "origin": ["built-in"] * 12,
        }
    )
    known = pl.DataFrame({"statement_id": ids, "known": [True] * 10 + [False] * 2})
    tables.write(tmp_path / "statements", statements, tables.STATEMENTS, ["statement_id"])
    tables.write(tmp_path / "known", known, tables.KNOWN, ["statement_id"])
    for persona, first in (("honest", 100), ("liar", 200)):
        prompts = pl.DataFrame(
            {
                "statement_id": ids,
                "persona": [persona] * 12,
                "text": [""] * 12,
                "token_ids": [[first, first + i] for i in range(12)],
                "prefix_ids": [[first]] * 12,
                "n_tokens": [2] * 12,
            }
        )
        tables.write(tmp_path / f"{persona}.parquet", prompts, tables.PROMPTS, ["statement_id"])
    return Files(tmp_path)


def test_known_statements_of_a_split_with_the_prompts_that_are_theirs(files):
    result = files.read(splits=("report",), limit=None, by="split")
    assert result.table["statement_id"].to_list() == ["06", "07", "08", "09"]
    assert result.source == [[100, 106], [100, 107], [100, 108], [100, 109]]
    assert result.base == [[200, 206], [200, 207], [200, 208], [200, 209]]
    assert result.label.tolist() == [False, False, True, True]
    some = result.only(result.table["statement_id"].head(1))
    assert (some.source, some.base) == ([[100, 106]], [[200, 206]])
    for one in (result, some):
        assert (one.source_prefix, one.base_prefix) == ([100], [200])


def test_the_limit_counts_by_split_or_by_topic(files):
    by_split = files.read(splits=prompt_pairs.SPLITS, limit=3, by="split")
    assert by_split.table["split"].value_counts().sort("split")["count"].to_list() == [3, 3]
    by_topic = files.read(splits=prompt_pairs.SPLITS, limit=2, by="topic")
    assert by_topic.table["topic"].value_counts().sort("topic")["count"].to_list() == [2, 2]


def test_nothing_known_is_no_case(files):
    known = tables.read(files["known"], tables.KNOWN).with_columns(known=pl.lit(False))
    tables.write(files["known"], known, tables.KNOWN, ["statement_id"])
    result = files.read(splits=prompt_pairs.SPLITS, limit=None, by="split")
    assert (len(result.table), result.source, result.base) == (0, [], [])


@pytest.mark.parametrize("rows", [12, 1])
def test_a_wording_that_does_not_reach_the_prompt_is_refused(files, rows):
    honest, liar = (
        tables.read(files[f"{name}.parquet"], tables.PROMPTS) for name in ("honest", "liar")
    )
    same = pl.concat([honest.head(rows), liar.tail(12 - rows)])
    tables.write(files["liar.parquet"], same, tables.PROMPTS, ["statement_id"])
    with pytest.raises(UserError) as error:  # also where such a row is of no split that is read
        files.read(splits=("report",), limit=1, by="split")
    assert str(error.value) == (
        f"{files['honest.parquet']} and {files['liar.parquet']}: the same token ids in {rows} of 12 rows, expected two "
        "personas whose prompts differ; their wordings do not reach the prompt"
    )


def test_prompts_that_differ_in_one_token_are_apart():
    row_order.require_apart("x", [[1, 2], [3]], [[1], [4]])
    row_order.require_apart("x", [], [])
    with pytest.raises(UserError, match="x: the same token ids in 1 of 2 rows"):
        row_order.require_apart("x", [[1, 2], [3]], [[1, 2], [4]])


def test_tables_about_other_statements_are_refused(files):
    prompts = tables.read(files["liar.parquet"], tables.PROMPTS).head(11)
    tables.write(files["liar.parquet"], prompts, tables.PROMPTS, ["statement_id"])
    with pytest.raises(UserError, match="liar.parquet: found 11 statement_ids, expected the 12"):
        files.read(splits=prompt_pairs.SPLITS, limit=None, by="split")
