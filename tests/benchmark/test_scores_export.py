"""A circuit as MIB's tools read it."""

import json

import polars as pl
import pytest

from stages.benchmark import scores_export
from stages.benchmark.schema import SCORES
from stages.lib.io import tables
from stages.lib.io.cli import UserError

SIZES = {"n_layers": 2, "n_heads": 3, "d_model": 12}


def table():
    rows = [
        {"dose": 1.0, "method": "single_heads", "statement_id": i, "layer": layer, "head": head}
        | {"score": float(10 * layer + head + (i == "b"))}
        for i in "ab"
        for layer in range(2)
        for head in range(3)
    ]
    return pl.DataFrame(rows, SCORES)


def test_every_head_has_its_mean_score_and_the_first_ones_are_in():
    result = scores_export.circuit(table(), 2, SIZES)
    assert result["cfg"] == SIZES | {"parallel_attn_mlp": False}
    nodes = result["nodes"]
    assert nodes["a1.h2"] == {"in_graph": True, "score": 12.5}
    assert nodes["a0.h0"] == {"in_graph": False, "score": 0.5}
    inside = [name for name, node in nodes.items() if node["in_graph"]]
    assert inside == ["input", "a1.h1", "a1.h2", "m0", "m1", "logits"]
    assert not result["edges"]


def test_the_command_writes_it(tmp_path):
    key = ["method", "layer", "head", "statement_id"]
    tables.write(tmp_path / "scores.parquet", table(), SCORES, key)
    tables.write_json(tmp_path / "manifest.json", {"sizes": SIZES})
    scores_export.main(
        tmp_path / "scores.parquet", "single_heads", 1, tmp_path, tmp_path / "c.json"
    )
    written = json.loads((tmp_path / "c.json").read_text())
    assert written == scores_export.circuit(table(), 1, SIZES)
    with pytest.raises(UserError, match="found 'greedy', expected one of single_heads"):
        scores_export.main(tmp_path / "scores.parquet", "greedy", 1, tmp_path, tmp_path / "c.json")
