"""Scores of the benchmark: areas, stability, doses and rivals on made-up tables."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from stages.benchmark import scores, scores_doses, scores_sets
from stages.benchmark.metrics import BenchmarkMetrics, MethodOn, Organism
from stages.benchmark.schema import COSTS, CURVES, SCORES, SIZES, TRUTH, n_heads
from stages.lib import stats
from stages.lib.io import tables
from stages.lib.stats import Interval
from stages.lib.stats.ranking import Ranked
from tests.intervals import there

N, SHAPE = 12, (4, 5)
N_ALL = 20
HONEST, LIAR = 4.0, -4.0


def curves(**methods):
    """Log-odds of both runs, and of each method as a share of the gap by number of heads."""
    rows = []
    for i in range(N):
        about = {"statement_id": f"{i:02}", "subject": f"s{i}", "label": i % 2 == 0}
        noise = 0.1 * (i % 3 - 1)
        for name, value in (("base", LIAR), ("source", HONEST + noise)):
            rows.append({"method": name, "n_heads": 0, "log_odds": value, **about})
        for name, share in methods.items():
            for size in sorted({n_heads(s, N_ALL) for s in SIZES} - {0}):
                value = LIAR + share(size) * (HONEST + noise - LIAR)
                rows.append({"method": name, "n_heads": size, "log_odds": value, **about})
    return pl.DataFrame(rows, CURVES)


def scored(grids, dose=1.0, method="single_heads", n=N):
    """The same scores on every statement, with a little noise."""
    random = np.random.default_rng(0)
    rows = [
        {"dose": dose, "method": method, "statement_id": f"{i:02}", "layer": layer, "head": head}
        | {"score": float(grids[layer, head] + 0.01 * random.standard_normal())}
        for i in range(n)
        for layer in range(SHAPE[0])
        for head in range(SHAPE[1])
    ]
    return pl.DataFrame(rows, SCORES)


def areas(table, method, n_all):
    result = scores_sets.areas(table, scores_sets.gap(table), method, n_all)
    return result["cpr"], result["cmd"]


def rival(table, sets, lying):
    return scores_sets.rival(table, scores_sets.gap(table), sets, lying)


class TestAreas:
    def test_a_method_that_restores_all_at_once(self):
        cpr, cmd = areas(curves(best=lambda size: 1.0), "best", N_ALL)
        # 0 heads up to 2 % of 20, all from 5 % on
        assert cpr.value == pytest.approx(0.95 + 0.015, abs=1e-6)
        assert cmd.value == pytest.approx(0.02 - 0.001 + 0.015, abs=1e-6)
        assert cpr.n == N

    def test_a_method_that_restores_nothing(self):
        cpr, cmd = areas(curves(none=lambda size: 0.0), "none", N_ALL)
        assert cpr.value == pytest.approx(0, abs=1e-9)
        assert cmd.value == pytest.approx(0.999, abs=1e-6)

    def test_a_straight_line_is_half(self):
        cpr, _ = areas(curves(line=lambda size: size / N_ALL), "line", N_ALL)
        assert cpr.value == pytest.approx(0.5, abs=0.01)

    def test_more_than_all_counts_in_both(self):
        cpr, cmd = areas(curves(over=lambda size: 1.5), "over", N_ALL)
        assert there(cpr.value) > 1.3
        assert there(cmd.value) > 0.45

    def test_where_nobody_lies_there_is_nothing_to_restore(self):
        table = curves(best=lambda size: 1.0).with_columns(log_odds=pl.lit(2.0))
        assert areas(table, "best", N_ALL) == (stats.NOTHING, stats.NOTHING)
        assert rival(table, {"first": [[0, 0]], "rival": [[1, 1]]}, lying()) is None


def lying():
    truth = np.zeros(SHAPE, bool)
    truth[1, 2] = truth[2, 0] = True
    return truth

    def test_sets_that_were_not_patched_have_none(self):
        assert areas(curves(), "best", N_ALL) == (stats.NOTHING, stats.NOTHING)


class TestOrganism:
    """All of one organism, from tables: a head that lies and is needed, and one that is not."""

    @pytest.fixture
    def folder(self, tmp_path):
        grid = np.zeros(SHAPE)
        grid[1, 2], grid[1, 0], grid[3, 3] = 2.0, 1.0, 3.0
        key = ["dose", "method", "layer", "head", "statement_id"]
        tables.write(tmp_path / "scores.parquet", scored(grid), SCORES, key)
        better = grid.copy()
        better[3, 3] = 0.0
        tables.write(tmp_path / "resampled.parquet", scored(better), SCORES, key)
        table = curves(single_heads=lambda size: 1.0)
        tables.write(
            tmp_path / "curves.parquet", table, CURVES, ["method", "n_heads", "statement_id"]
        )
        about = table.filter(method="base").select("statement_id", "subject")
        grafted = [
            about.with_columns(
                layer=pl.lit(layer), head=pl.lit(head), size=pl.lit(1.0), log_odds=pl.lit(odds)
            )
            for layer, head, odds in ((1, 2, 0.0), (2, 0, LIAR))
        ]
        truth = pl.concat(grafted).select(pl.col(k).cast(v) for k, v in TRUTH.items())
        tables.write(tmp_path / "truth.parquet", truth, TRUTH, ["layer", "head", "statement_id"])
        spent = [
            {"method": name, "forwards": n, "backwards": 0, "seconds": 1.0}
            for name, n in (("single_heads", 10), ("single_heads_more", 90))
        ]
        tables.write(tmp_path / "costs.parquet", pl.DataFrame(spent, COSTS), COSTS, ["method"])
        tables.write_json(tmp_path / "sets.json", {})
        return tmp_path

    @pytest.fixture
    def organism(self, folder):
        ids = pl.DataFrame({"statement_id": [f"{i:02}" for i in range(N)]})
        return scores.organism(folder, ids.with_columns(subject=pl.col("statement_id")), 0)

    def test_more_statements_are_a_method_of_its_own(self, organism):
        few, more = organism.methods["single_heads"], organism.methods["single_heads_more"]
        assert few.ranked_needed.auroc.value == pytest.approx(18 / 19)
        assert more.ranked_needed.auroc.value == 1.0
        assert (few.forwards, more.forwards) == (10, 90)
        assert more.cpr == stats.NOTHING

    def test_inside_the_layers_of_the_lie_a_head_elsewhere_counts_nothing(self, organism):
        inside = organism.methods["single_heads"].ranked_inside
        assert (inside.auroc.value, inside.auroc.n, inside.n_true) == (1.0, 2 * SHAPE[1], 1)

    @pytest.mark.parametrize("gap", [-0.5, 0.0])
    def test_where_the_run_does_not_lie_no_head_is_needed(self, folder, gap):
        """A share of no gap is noise: a head that harms both runs would seem needed."""
        key = ["method", "n_heads", "statement_id"]
        flat = curves(single_heads=lambda size: 1.0).with_columns(
            log_odds=pl.when(pl.col("method") == "source").then(LIAR + gap).otherwise(LIAR)
        )
        tables.write(folder / "curves.parquet", flat, CURVES, key)
        grafted = tables.read(folder / "truth.parquet", TRUTH).with_columns(log_odds=LIAR - 0.2)
        tables.write(folder / "truth.parquet", grafted, TRUTH, ["layer", "head", "statement_id"])
        ids = pl.DataFrame({"statement_id": [f"{i:02}" for i in range(N)]})
        of = scores.organism(folder, ids.with_columns(subject=pl.col("statement_id")), 0)
        assert of.needed == dict.fromkeys(of.needed, stats.NOTHING)
        assert {method.ranked_needed for method in of.methods.values()} == {None}

    def test_layers_alone_are_a_control(self, organism):
        layers = organism.methods["layers"]
        assert layers.ranked.auroc.value == pytest.approx((10 + 8 / 2) / 18)
        assert layers.ranked_inside.auroc.value == 0.5
        assert layers.cpr == stats.NOTHING
        assert layers.forwards == 0


class TestRival:
    def test_both_sets_are_measured_and_their_lying_heads_counted(self):
        table = curves(first=lambda size: 0.9, rival=lambda size: 0.6).filter(
            pl.col("n_heads").is_in([0, 1])
        )
        sets = {"first": [[1, 2], [2, 0]], "rival": [[0, 0]]}
        result = rival(table, sets, lying())
        assert result is not None
        assert result.first_recovered.value == pytest.approx(0.9)
        assert result.rival_recovered.value == pytest.approx(0.6)
        assert (result.first_lying, result.rival_lying) == (2, 0)

    def test_without_a_second_set(self):
        assert rival(curves(), {"first": [[0, 0]]}, lying()) is None


class TestStability:
    def about(self, table):
        ids = table["statement_id"].unique().sort()
        return table.join(
            pl.DataFrame({"statement_id": ids, "subject": [f"s{i}" for i in range(len(ids))]}),
            "statement_id",
        )

    def test_clear_scores_are_stable_and_noise_is_not(self):
        clear = self.about(scored(lying().astype(float)))
        (result,) = scores_doses.stability(clear, 2, seed=0).values()
        assert (result.jaccard.value, result.jaccard.low) == (1.0, 1.0)
        noise = self.about(scored(np.zeros(SHAPE)))
        (result,) = scores_doses.stability(noise, 2, seed=0).values()
        assert result.jaccard.value is not None
        assert result.jaccard.value < 0.7
        assert result.jaccard.n == N


class TestDetection:
    def test_the_smallest_dose_at_which_half_are_found(self):
        tables = [scored(dose * lying().astype(float), dose) for dose in (0.0, 0.25, 0.5, 1.0)]
        (result,) = scores_doses.detections(pl.concat(tables), lying()).values()
        assert result.smallest == 0.25
        assert result.detected["1.0"] == 1.0
        assert result.false_alarms["0.0"] <= 2 / 18
        assert result.auroc["1.0"] == 1.0

    def test_a_method_that_never_finds_them(self):
        tables = [scored(-dose * lying().astype(float), dose) for dose in (0.0, 0.5, 1.0)]
        (result,) = scores_doses.detections(pl.concat(tables), lying()).values()
        assert result.smallest is None
        assert result.auroc["1.0"] == 0.0

    def test_finding_must_last(self):
        tables = [
            scored(size * lying().astype(float), dose)
            for dose, size in ((0.0, 0.0), (0.25, 1.0), (0.5, 0.0), (1.0, 1.0))
        ]
        (result,) = scores_doses.detections(pl.concat(tables), lying()).values()
        assert result.smallest == 1.0


class TestSummary:
    def organism(self, area):
        ranked = Ranked(Interval(area, 0.0, 1.0, 20), 0.5, 1, 2)
        on = MethodOn(
            ranked, ranked, ranked,
            Interval(0.8, 0.7, 0.9, N), Interval(0.2, 0.1, 0.3, N), 1.0, 10, 0, 1.0,
        )  # fmt: skip
        return Organism(
            [[1, 2]],
            True,
            {},
            4,
            60,
            Interval(8.0, 7.0, 9.0, N),
            {"single_heads": on},
            {},
            {},
            None,
        )

    def summary(self, *areas):
        organisms = {f"o{i}": self.organism(area) for i, area in enumerate(areas)}
        return scores.summarise(organisms)

    def test_means_over_organisms(self):
        result = self.summary(0.9, 0.7, 0.8).auroc["single_heads"]
        assert result.value == pytest.approx(0.8)
        assert result.n == 3
        assert result.low is not None
        assert result.low < 0.8

    def test_the_claim_needs_every_organism(self):
        claim = self.summary(0.99, 0.97, 0.98).claim()
        assert claim is not None
        assert claim.checks[0].verdict == "supported"
        claim = self.summary(0.99, 0.99, 0.6).claim()
        assert claim is not None
        assert claim.checks[0].verdict == "not supported"
        assert "0.600" in claim.checks[0].measured

    def test_more_than_all_may_be_restored(self):
        organisms = {name: self.organism(0.9) for name in ("a", "b")}
        for organism in organisms.values():
            on = organism.methods["single_heads"]
            organism.methods["single_heads"] = replace(on, cpr=Interval(1.2, 1.1, 1.3, N))
        assert scores.summarise(organisms).cpr["single_heads"].value == pytest.approx(1.2)

    def test_without_an_organism_nothing_is_claimed(self):
        empty = scores.summarise({})
        assert empty == BenchmarkMetrics({}, [], {}, {}, {}, {}, {})
        assert empty.claim() is None
        assert scores.method_rows(empty) == scores.dose_rows(empty) == []

    def test_rows(self):
        rows = scores.method_rows(self.summary(0.9, 0.7))
        assert [row["organism"] for row in rows] == ["o0", "o1"]
        assert rows[0]["auroc"] == 0.9
        assert rows[0]["passes"] == 10
