import types
from typing import Any

import numpy as np
import pytest

from stages.lib import stats
from stages.lib.io.cli import UserError
from stages.logit_attribution import schema, scores, scores_points
from stages.logit_attribution import scores_contributions as attribution
from stages.logit_attribution import scores_lens as lens
from stages.logit_attribution.metrics import Token, Tokens
from tests.intervals import ends, there

N, LAYERS, HEADS, IDS = 24, 3, 2, 4
SUBJECT = np.repeat(np.arange(N // 2), 2)
LABEL = np.arange(N) % 2 == 0
SIGN = np.where(LABEL, 1.0, -1.0)
TOKENS = attribution.Pair(1, 2, 0.9)
NAMES = {"source": "honest", "base": "liar", "difference": "honest - liar"}


def parts(seed=0, cap=None, scale=1.0):
    """Random parts of logits that are what they add up to."""
    random = np.random.default_rng(seed)
    heads = random.normal(size=(N, LAYERS, HEADS, IDS))
    attention, mlp = heads.sum(axis=2), random.normal(size=(N, LAYERS, IDS))
    embedding, constant = random.normal(size=(N, IDS)), random.normal(size=IDS)
    raw = embedding + (attention + mlp).sum(axis=1) + constant
    logits = raw * scale if cap is None else cap * np.tanh(raw / cap)
    return types.SimpleNamespace(
        **{k: v for k, v in locals().items() if k not in ("random", "seed")}
    )


class TestContributions:
    @pytest.mark.parametrize("given", [{}, {"scale": 0.25}, {"cap": 2.0}])
    def test_they_add_up_to_the_real_difference(self, given):
        result = attribution.contributions(parts(**given), TOKENS, LABEL)
        added = result.embedding + result.constant + (result.attention + result.mlp).sum(axis=1)
        np.testing.assert_allclose(added, result.total, atol=1e-10)
        assert result.error < 1e-10
        np.testing.assert_allclose(result.heads.sum(axis=2), result.attention)

    def test_a_part_that_is_left_out_is_an_error(self):
        given = parts()
        given.mlp = given.mlp[:, 1:]
        assert attribution.contributions(given, TOKENS, LABEL).error > 0.1

    def test_the_sign_is_that_of_the_right_answer(self):
        given = parts()
        result = attribution.contributions(given, TOKENS, LABEL)
        np.testing.assert_allclose(result.total, SIGN * (given.raw[:, 1] - given.raw[:, 2]))
        turned = attribution.contributions(given, TOKENS, ~LABEL)
        np.testing.assert_allclose(turned.heads, -result.heads)

    def test_a_scale_is_one_factor_and_a_cap_one_for_each_statement(self):
        changes: list[dict[str, Any]] = [{}, {"scale": 0.25}, {"cap": 2.0}]
        plain, scaled, capped = (
            attribution.contributions(parts(**given), TOKENS, LABEL).mlp for given in changes
        )
        np.testing.assert_allclose(scaled, 0.25 * plain)
        factor = capped / plain
        np.testing.assert_allclose(factor, factor[:, :1] * np.ones(LAYERS))
        assert factor.min() > 0
        assert np.ptp(factor) > 0.1

    def test_no_difference_at_all(self):
        given = parts()
        given.raw = given.logits = np.zeros_like(given.raw)
        assert np.isfinite(attribution.contributions(given, TOKENS, LABEL).heads).all()


def test_the_pair_is_the_likeliest_token_of_each_answer_over_both_runs():
    first, second = np.log([[0.1, 0.2, 0.05, 0.4]] * 3), np.log([[0.3, 0.1, 0.3, 0.1]] * 3)
    result = attribution.pair([first, second], 2)
    assert (result.true, result.false) == (0, 3)
    assert result.share == pytest.approx((0.5 / 0.75 + 0.4 / 0.8) / 2)
    assert attribution.pair([first], 2).true == 1


class TestMeans:
    def test_they_are_those_of_stats_one_by_one(self):
        values = np.random.default_rng(1).uniform(-1, 1, (N, 2, 3))
        result = attribution.means(values, SUBJECT)
        for i, j in np.ndindex(2, 3):
            one = stats.mean(values[:, i, j], SUBJECT, (-9, 9))
            np.testing.assert_allclose([x[i, j] for x in result], ends(one))

    def test_one_subject_has_no_interval_and_no_statement_no_mean(self):
        alone = attribution.mean(np.ones(3), np.zeros(3))
        assert (alone.value, alone.low, alone.high, alone.n) == (1.0, None, None, 3)
        assert attribution.mean(np.empty(0), np.empty(0)) == stats.NOTHING


class TestShares:
    def test_parts_of_a_sum_have_shares_that_add_up_to_one(self):
        of = np.random.default_rng(2).normal(1.0, 0.3, (N, 3))
        result = attribution.shares(of, of.sum(axis=1), SUBJECT)
        assert sum(ends(x)[0] for x in result) == pytest.approx(1)
        assert all(low < value < high for value, low, high in map(ends, result))

    def test_a_part_that_is_always_a_third_has_no_width(self):
        total = np.random.default_rng(3).normal(3.0, 1.0, N)
        (result,) = attribution.shares(total[:, None] / 3, total, SUBJECT)
        np.testing.assert_allclose(ends(result), 1 / 3)

    def test_a_share_of_nothing_is_null(self):
        of = np.random.default_rng(4).normal(0.0, 1.0, (N, 2))
        result = attribution.shares(of, of.sum(axis=1), SUBJECT)
        assert [x.value for x in result] == [None, None]


class TestDivergence:
    def gap(self, *means, noise=0.05):
        random = np.random.default_rng(5)
        return np.array(means) + noise * random.normal(size=(N, len(means)))

    def test_it_is_where_the_gap_begins_to_last(self):
        result = lens.divergence(self.gap(0.0, 0.5, 0.0, 0.2, 0.9, 0.8), SUBJECT)
        assert (result.differs.value, result.half.value) == (3, 4)
        assert result.half.gap == pytest.approx(0.9, abs=0.05)
        for row in vars(result).values():
            assert row.low <= row.value <= row.high
            assert row.n == N

    def test_a_gap_at_the_end_is_needed(self):
        gap = self.gap(0.0, 0.9, 0.9, 0.0)
        gap[:, -1] = 0.1 * SIGN  # as often one way as the other
        assert {row.value for row in vars(lens.divergence(gap, SUBJECT)).values()} == {None}
        alike = lens.divergence(np.zeros((N, 4)), SUBJECT)
        assert {row.value for row in vars(alike).values()} == {None}
        assert {row.n for row in vars(alike).values()} == {N}

    def test_a_negative_gap_parts_as_well(self):
        result = lens.divergence(-self.gap(0.0, 0.0, 0.9), SUBJECT)
        assert (result.half.value, there(result.half.gap) < 0) == (2, True)

    def test_a_wrong_sign_before_the_end_is_no_divergence(self):
        result = lens.divergence(self.gap(-0.9, -0.9, 0.9), SUBJECT)
        assert (result.differs.value, result.half.value) == (2, 2)

    def test_many_draws_are_unsure_where_statements_disagree(self):
        result = lens.divergence(self.gap(0.0, 0.1, 0.2, 0.3, 0.4, 0.5, noise=0.3), SUBJECT)
        assert there(result.half.high) > there(result.half.low)

    def test_one_subject_cannot_tell(self):
        result = lens.divergence(np.ones((4, 3)), np.zeros(4))
        assert {row.value for row in vars(result).values()} == {None}


class TestTables:
    def made(self):
        first, second = (attribution.contributions(parts(i), TOKENS, LABEL) for i in (0, 1))
        log_p = [
            np.log(np.random.default_rng(i).uniform(0.1, 0.4, (N, LAYERS + 1, 2))) for i in (0, 1)
        ]
        return first, second, (log_p[0], log_p[1])

    def test_rows_are_one_a_run_and_part(self):
        first, second, log_p = self.made()
        layers = scores_points.layers(first, second, SUBJECT, NAMES)
        heads = scores_points.heads(first, second, SUBJECT, NAMES)
        lenses = scores_points.lenses(*log_p, LABEL, SUBJECT, NAMES)
        assert (len(layers), len(heads), len(lenses)) == (18, 18, 12)
        row = next(
            r for r in layers if (r["site"], r["run"], r["layer"]) == ("mlp", "difference", 1)
        )
        assert row["contribution"] == pytest.approx((first.mlp - second.mlp)[:, 1].mean())
        assert row["persona"] == "honest - liar"
        row: Any = next(r for r in lenses if (r["run"], r["layer"]) == ("base", 2))
        right = np.where(
            LABEL, log_p[1][:, 2, 0] > log_p[1][:, 2, 1], log_p[1][:, 2, 0] < log_p[1][:, 2, 1]
        )
        assert row["accuracy"] == right.mean()
        assert 0 <= row["low"] <= row["p_correct"] <= row["high"] <= 1

    def test_shares_of_heads_are_of_a_difference_that_is_there(self):
        first, second, _ = self.made()
        same = scores_points.heads(first, first, SUBJECT, NAMES)
        assert {row["share"] for row in same} == {None}
        first.total[:] = second.total + 2.0
        rows: Any = scores_points.heads(first, second, SUBJECT, NAMES)
        assert {row["share"] is None for row in rows if row["run"] == "difference"} == {False}
        for row in rows:
            if row["share"] is not None:
                assert row["share"] == pytest.approx(row["contribution"] / 2)

    def test_metrics_of_something_and_of_nothing_have_the_same_parts(self, tmp_path):
        both = [parts(i) for i in (0, 1)]
        for given, log_p in zip(both, self.made()[2], strict=True):
            given.lens, given.log_p = log_p, np.log([[0.1, 0.2, 0.4, 0.1]] * N)
        names = [str(i) for i in range(N)]
        facts = schema.Facts(names, [5, 6, 7, 8], list("5678"), 2, heads_error=0.0, reason=None)
        schema.write(tmp_path / "parts", dict(zip(schema.ROLES, both, strict=True)), facts)
        split = schema.read(tmp_path / "parts")
        np.testing.assert_array_equal(split.runs["base"].heads, both[1].heads)
        result, plots = scores.make(split, ("honest", "liar"), LABEL, SUBJECT)
        nothing, no_plots = scores.null_results()
        assert result.tokens == Tokens(Token(6, "6"), Token(7, "7"), result.tokens.share)
        assert result.tokens.share == pytest.approx(0.75)
        assert set(plots) == set(no_plots)
        assert set(result.parts) == set(nothing.parts)
        ranked = {row.rank: name for name, row in result.top.heads.items()}
        assert sorted(ranked) == list(range(1, 7))
        first, second = (attribution.contributions(x, TOKENS, LABEL) for x in both)
        gap = np.abs((first.heads - second.heads).mean(axis=0))
        assert ranked[1] == "{}.{}".format(*np.unravel_index(gap.argmax(), gap.shape))


def test_the_same_parts_give_the_same_bytes_and_a_cut_file_is_named(tmp_path):
    facts = schema.Facts([], [], [], 0, heads_error=0.0, reason="no known statement")
    for name in ("one", "two"):
        schema.write(tmp_path / name, {}, facts)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert schema.read(tmp_path / "one").reason == "no known statement"
    (tmp_path / "one").write_bytes((tmp_path / "one").read_bytes()[:-3])
    with pytest.raises(UserError, match="one: cut or changed since it was written"):
        schema.read(tmp_path / "one")
