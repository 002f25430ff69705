"""Rows of patched runs, and what is read from them."""

import numpy as np
import polars as pl
import pytest

from stages.lib.patching import patch, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.patch import Head
from stages.lib.patching.prompt_pairs import PromptPairs

PAIRS = PromptPairs(pl.DataFrame({"statement_id": ["a", "b"], "label": [True, False]}), [], [])
P = np.array([[0.75, 0.125], [0.5, 0.25]], np.float32)
SCHEMA = {"statement_id": pl.String, "p_true": pl.Float32, "layer": pl.Int32, "run": pl.String}


def run(p=P, base="liar", pairs=PAIRS, schema=patched_runs.SCHEMA, **columns):
    return patched_runs.rows(pairs, p, "honest", base, "none", [Head(1, 2)], schema, **columns)


def test_rows_get_the_columns_of_a_schema_in_its_order_and_no_others():
    result = run(schema=SCHEMA, layer=pl.Series([3, 4], dtype=pl.Int64))
    assert result.schema == SCHEMA
    assert result.rows() == [("a", 0.75, 3, None), ("b", 0.5, 4, None)]
    one = run(schema=SCHEMA, run="patched", layer=None)
    assert one["run"].to_list() == ["patched"] * 2
    assert one["layer"].to_list() == [None] * 2


def test_without_a_statement_the_columns_are_there():
    result = run(
        P[:0], pairs=PAIRS.only(pl.Series([], dtype=pl.String)), schema=SCHEMA, layer=1, run="base"
    )
    assert (result.schema, len(result)) == (SCHEMA, 0)


def test_a_value_for_a_column_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no column head in statement_id, p_true, layer, run"):
        run(schema=SCHEMA, head=1)


def test_unpatched_runs_are_those_of_both_personas_on_themselves():
    config = PatchConfig(source="honest", base="liar", positions=1)
    rows = patched_runs.unpatched(PAIRS, P, P[::-1], config, schema=patched_runs.SCHEMA)
    assert (
        rows.select("source", "base", "patch_id").rows()
        == [
            ("honest", "honest", patched_runs.UNPATCHED),
        ]
        * 2
        + [("liar", "liar", patched_runs.UNPATCHED)] * 2
    )
    np.testing.assert_array_equal(patched_runs.probabilities(rows, base="liar"), P[::-1])


def test_probabilities_of_rows_keep_their_order():
    np.testing.assert_array_equal(patched_runs.probabilities_of(run().reverse()), P[::-1])
    np.testing.assert_array_equal(patched_runs.probabilities(run().reverse(), base="liar"), P)


def test_log_odds_are_those_of_the_run_that_the_columns_name():
    runs = pl.concat([run(), run(P[::-1], base="honest")])
    result = patched_runs.log_odds(runs, PAIRS, patch_id="none", base="honest")
    np.testing.assert_array_equal(result, patch.log_odds(P[::-1], PAIRS.label))
    np.testing.assert_allclose(result, [np.log(2), -np.log(6)], rtol=1e-6)
