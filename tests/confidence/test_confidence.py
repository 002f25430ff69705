"""Accuracy and number left by confidence, from runs that are written by hand."""

import json

import polars as pl
import pytest

from stages.confidence import scores
from stages.lib.io import tables
from stages.lib.io.cli import UserError

PATCH = {"source": "honest", "base": "liar", "positions": 2, "site": "z"}
LABELS = [True, False, True, False]
SCHEMA = tables.READOUTS | {"run": pl.String, "draw": pl.Int32}
SURE = [0.97, 0.92, 0.8, 0.55]  # probability of each statement's likelier answer


def pairs():
    return pl.DataFrame(
        [
            {"statement_id": f"{i:016x}", "topic": "x", "statement": f"S {i}.", "label": label}
            | {"subject": str(i), "split": "report", "origin": "-", "known": True}
            | {"source_text": "", "base_text": "", "source_ids": [1], "base_ids": [2]}
            | {"source_prefix_ids": [0], "base_prefix_ids": [0]}
            for i, label in enumerate([*LABELS, True])  # the last one is not known
        ],
        schema=tables.PAIRS,
    )


def rows(run, right, sure, draw=0):
    """One run's rows: an answer is right where `right`, with probability `sure`."""
    result = []
    for i, (label, good, p) in enumerate(zip(LABELS, right, sure, strict=False)):
        says_true = label == good
        p_true, p_false = (p, 0.99 - p) if says_true else (0.99 - p, p)
        result.append({"statement_id": f"{i:016x}", "p_true": p_true, "p_false": p_false}
                     | {"answer_mass": 0.99, "run": run, "draw": draw})  # fmt: skip
    return result


@pytest.fixture
def project(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(json.dumps({"patch": PATCH}))
    tables.write(tmp_path / "pairs.parquet", pairs(), tables.PAIRS, ["statement_id"])
    good, bad = [True] * 4, [False] * 4
    runs = [
        *rows("source", good, SURE),
        *rows("base", bad, SURE[::-1]),
        *rows("patched", [True, True, True, False], SURE),  # wrong where it is least sure
        *rows("reverse", bad, [0.6] * 4),
        *rows("random", bad, SURE),
        *rows("random", good, SURE, draw=1),
    ]
    write(tmp_path, runs)
    return tmp_path


def write(folder, runs):
    table = pl.DataFrame(runs, schema=SCHEMA)
    tables.write(folder / "transplant.parquet", table, SCHEMA, ["statement_id", "run", "draw"])


def run(folder):
    names = ("pairs.parquet", "transplant.parquet", "metrics.json", "plots")
    scores.main(*(folder / name for name in names))
    plot = tables.read_json(folder / "plots" / "thresholds.json")
    return json.loads((folder / "metrics.json").read_text()), plot


def test_sure_answers_are_counted_run_by_run(project):
    metrics, points = run(project)
    result = {
        name: {at: (rate["value"], rate["n"]) for at, rate in of["accuracy"].items()}
        for name, of in metrics["runs"].items()
    }
    left = {"0": 4, "0.5": 4, "0.75": 3, "0.9": 2, "0.95": 1}
    assert result["source"] == {at: (1, n) for at, n in left.items()}
    assert result["base"] == {at: (0, n) for at, n in left.items()}
    assert result["patched"] == {at: (0.75 if n == 4 else 1, n) for at, n in left.items()}
    assert result["reverse"] == {at: (0, 4) if n == 4 else (None, 0) for at, n in left.items()}
    assert metrics["runs"]["reverse"]["confidence"]["value"] == pytest.approx(0.6)
    assert metrics["runs"]["patched"]["confidence"]["n"] == 4
    assert len(points) == 4 * 21
    assert list(points[0]) == [
        "run", "source", "base", "confidence", "accuracy", "low", "high", "n",
    ]  # fmt: skip
    names = {(row["run"], row["source"], row["base"]) for row in points}
    assert ("patched", "honest", "liar") in names
    assert ("reverse", "liar", "honest") in names
    assert ("base", "liar", "liar") in names


def test_where_nothing_is_known_all_is_null(project):
    write(project, [])
    metrics, points = run(project)
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    for result in metrics["runs"].values():
        assert set(map(str, result["accuracy"].values())) == {str(dict(sorted(nothing.items())))}
        assert result["confidence"] == nothing
    assert len(points) == 4 * 21
    assert {(row["accuracy"], row["n"]) for row in points} == {(None, 0)}


def test_runs_on_other_statements_than_each_other_are_refused(project):
    write(project, [*rows("source", [True] * 4, SURE), *rows("base", [False] * 3, SURE)])
    with pytest.raises(UserError, match=r"transplant\.parquet: found 0 statement_ids, expected"):
        run(project)
