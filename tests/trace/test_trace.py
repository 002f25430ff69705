"""On planted models: the cell that matters, what passes through a reader, and what does not."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from stages.lib.patching import patched_runs
from stages.lib.patching.blocks import BLOCKS, PersonaWording
from stages.lib.stats import Interval
from stages.lib.stats.advantage import advantage, effects
from stages.trace import __main__ as stage
from stages.trace import attribution, choice, map_runs, path_runs, scores
from stages.trace.map_runs import Cell
from stages.trace.metrics import MOST, PathEffect
from stages.trace.places import only, places, swapped
from stages.trace.schema import ALL, AROUND, LAST_TOKEN, PARTS, THROUGH
from tests import tiny
from tests.intervals import there
from tests.placed import CONFIG, QUESTION, experiment, planted
from tests.trace.relay import READER, WRITER, decoy_model, relay_model

ROUNDING = 1e-3  # of a share of log-odds
PERSONAS = (CONFIG.source, CONFIG.base)


def traced(setting, counterparts):
    """Places, and the table of all layers in one direction with both unpatched runs."""
    at = places(counterparts, CONFIG.positions)
    return at, pl.concat([map_runs.unpatched(setting, at), map_runs.layers(setting, at)])


def reverse(setting, at):
    """The experiment and its places with the roles of source and base swapped."""
    return setting.swapped(), {name: swapped(pairs) for name, pairs in at.items()}


def relay(model):
    """Statements for a model with a reader."""
    base, source = (PersonaWording(f"You are {x}.", QUESTION, "it is") for x in ("so L", "H"))
    return experiment(model, base, source)


def end_alone():
    """Personas with one system prompt, whose prefixes differ."""
    base, source = (PersonaWording("You are H.", QUESTION, x) for x in ("so it is", "it is"))
    return experiment(tiny.planted_model(), base, source)


def shares(runs, about, block):
    """Share that every layer recovers at a place."""
    above = advantage(runs, about, *PERSONAS)
    some = runs.filter(block=block)
    return [there(e.recovered.value) for e in effects(some, above, ["layer", "block"])]


class TestPlaces:
    @pytest.mark.parametrize("prefix", ["it is", ""])
    def test_parts_are_apart_and_together_are_all_pairs(self, prefix):
        _, counterparts = planted(prefix)
        at = places(counterparts, CONFIG.positions)
        for i, paired in enumerate(counterparts):
            parts = [at[name][i] for name in PARTS if name in at]
            base = np.concatenate([p.base for p in parts])
            assert len(set(base.tolist())) == len(base)
            assert sorted(base) == sorted(at[ALL][i].base) == sorted({*paired.base.tolist(), -1})

    def test_the_last_token_is_a_place_of_its_own(self):
        _, counterparts = planted()
        at = places(counterparts, CONFIG.positions)
        assert all(p.base.tolist() == p.source.tolist() == [-1] for p in at[LAST_TOKEN])
        assert all(-1 not in p.base for name in BLOCKS if name in at for p in at[name])

    def test_the_last_positions_are_paired_by_their_distance_from_the_end(self):
        _, counterparts = planted()
        for p in places(counterparts, 5)["last 5"]:
            assert p.base.tolist() == p.source.tolist() == [-5, -4, -3, -2, -1]

    def test_a_block_without_a_position_is_no_place(self):
        """Both prompts start with the same system prompt, which no patch can change."""
        setting, counterparts = end_alone()
        at = places(counterparts, CONFIG.positions)
        assert set(at) == {"prefix", LAST_TOKEN, "last 12", ALL}
        assert all(len(p.base) for name in at for p in at[name])
        none = {"prefix": [p.only(p.block < 0) for p in counterparts]}
        assert map_runs.layers(setting, none).is_empty()
        one = {"prefix": [*none["prefix"][1:], at["prefix"][0]]}
        ids = map_runs.layers(setting, one)["statement_id"]
        assert ids.unique().to_list() == [setting.pairs.table["statement_id"][-1]]

    def test_without_statements_there_are_the_places_that_each_prompt_has(self):
        setting, _ = planted()
        nobody = map_runs.subset_of(setting, [])
        at = places([], CONFIG.positions)
        assert set(at) == {LAST_TOKEN, "last 12", ALL}
        assert map_runs.unpatched(nobody, at).is_empty()
        assert map_runs.layers(nobody, at).is_empty()

    def test_both_directions_are_of_statements_that_the_map_has(self):
        """Reverse runs of a statement without an unpatched run could not be scored."""
        base, source = (PersonaWording(f"You are {x}.", QUESTION, "it is") for x in ("so L", "H"))
        told = ["T one", "F two two", *[f"T {'three ' * 40}{i}" for i in range(3)]]
        setting, counterparts = experiment(tiny.planted_model(), base, source, told)
        at, rows = places(counterparts, CONFIG.positions), [0, 1, 3]
        report = map_runs.subset_of(setting, rows), only(at, rows)
        ids = setting.pairs.table["statement_id"]
        subset, subset_places = stage._both_ways(report, ids.sample(fraction=1, shuffle=True))
        assert subset.pairs.table["statement_id"].to_list() == ids[rows].to_list()
        assert all(len(pairs) == len(rows) for pairs in subset_places.values())
        none, nowhere = stage._both_ways(report, pl.Series([], dtype=pl.String))
        assert none.pairs.table.is_empty()
        assert set(nowhere) == {LAST_TOKEN, "last 12", ALL}

    def test_swapping_twice_changes_nothing(self):
        _, counterparts = planted()
        for p, q in zip(counterparts, swapped(swapped(counterparts)), strict=True):
            assert (p.base == q.base).all()
            assert (p.source == q.source).all()
            assert (swapped([p])[0].base == p.source).all()


class TestMap:
    def test_the_planted_layer_at_the_last_token_recovers_all_and_nothing_else_anything(self):
        setting, counterparts = planted()
        at, runs = traced(setting, counterparts)
        for block in at:
            recovered = shares(runs, setting.pairs, block)
            decides = block in (LAST_TOKEN, ALL, "last 12")
            expected = [float(decides and layer == tiny.PLANTED_LAYER) for layer in range(5)]
            np.testing.assert_allclose(recovered, expected, atol=ROUNDING)

    def test_both_directions_are_the_same_experiment_with_other_roles(self):
        setting, counterparts = planted()
        at = places(counterparts, CONFIG.positions)
        there, back = reverse(setting, at)
        runs = pl.concat([map_runs.unpatched(setting, at), map_runs.layers(there, back)])
        above = advantage(runs, setting.pairs, *reversed(PERSONAS))
        (planted_layer,) = effects(
            runs.filter(block=LAST_TOKEN, layer=tiny.PLANTED_LAYER), above, ["layer", "block"]
        )
        assert planted_layer.recovered.value == pytest.approx(1, abs=ROUNDING)
        again, forth = reverse(there, back)
        assert again.pairs.base == setting.pairs.base
        assert again.config == setting.config
        assert all((p.base == q.base).all() for p, q in zip(forth[ALL], at[ALL], strict=True))

    def test_the_planted_head_alone_recovers_all_that_its_layer_does(self):
        setting, counterparts = planted()
        at, runs = traced(setting, counterparts)
        heads = map_runs.heads(setting, at, [Cell(tiny.PLANTED_LAYER, LAST_TOKEN)])
        above = advantage(runs, setting.pairs, *PERSONAS)
        recovered = [
            there(e.recovered.value) for e in effects(heads, above, ["layer", "block", "head"])
        ]
        expected = [float(head == tiny.PLANTED_HEAD) for head in range(4)]
        np.testing.assert_allclose(recovered, expected, atol=ROUNDING)

    def test_all_positions_give_what_a_patch_of_whole_prompts_of_one_length_gives(self):
        base, source = (PersonaWording(f"You are {x}.", QUESTION, "it is") for x in "LH")
        setting, counterparts = experiment(tiny.random_model(), base, source)
        _, runs = traced(setting, counterparts)
        n = min(map(len, setting.pairs.base))
        whole = replace(setting, config=replace(setting.config, positions=n))
        patches = np.zeros((1, *setting.shape), bool)
        patches[0, 2] = True
        expected = whole.patcher()(patches, "test").patched[0]
        result = patched_runs.probabilities(runs, layer=2, block=ALL)
        np.testing.assert_allclose(result, expected, atol=1e-5)


class TestAttribution:
    def test_the_planted_head_has_the_largest_estimate_and_other_layers_none(self):
        setting, counterparts = planted()
        at = places(counterparts, CONFIG.positions)
        result = attribution.run(setting, at[ALL])
        n_layers, n_heads = setting.shape
        assert len(result) == len(setting.pairs.table) * n_layers * n_heads
        means = result.group_by("layer", "head").agg(pl.col("estimate").mean().abs())
        top = means.sort("estimate", descending=True).rows()[0]
        assert top[:2] == (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
        others = means.filter(pl.col("layer") != tiny.PLANTED_LAYER)["estimate"].to_numpy()
        assert others.max() < 1e-4 < top[2]

    def test_at_last_positions_alone_it_is_what_the_patcher_estimates(self):
        base, source = (PersonaWording(f"You are {x}.", QUESTION, "it is") for x in "LH")
        setting, counterparts = experiment(tiny.random_model(), base, source)
        at = places(counterparts, CONFIG.positions)
        result = attribution.run(setting, at["last 12"]).sort("statement_id", "layer", "head")
        expected = setting.patcher().attribution("test")
        expected = expected * np.where(setting.pairs.label, 1, -1)[:, None, None]
        np.testing.assert_allclose(result["estimate"], expected.ravel(), atol=1e-5)


class TestChoice:
    def choose(self, **changes):
        setting, counterparts = planted()
        _, runs = traced(setting, counterparts)
        about = setting.pairs
        if "label" in changes:
            about = replace(about, table=about.table.with_columns(label=pl.lit(changes["label"])))
        personas = changes.get("personas", PERSONAS)
        return choice.choose(runs, about, personas, changes.get("least", 0.5), 6)

    def test_the_cell_that_recovers_all_is_chosen_alone(self):
        assert self.choose() == [Cell(tiny.PLANTED_LAYER, LAST_TOKEN)]

    def test_nothing_is_chosen_where_there_is_nothing_to_recover(self):
        assert self.choose(label=True) == []
        assert self.choose(personas=PERSONAS[::-1]) == []

    def test_at_most_so_many_those_that_recover_most(self):
        setting, counterparts = relay(relay_model())
        _, runs = traced(setting, counterparts)
        every = choice.choose(runs, setting.pairs, PERSONAS, -1, 99)
        one = choice.choose(runs, setting.pairs, PERSONAS, -1, 1)
        assert one == [Cell(READER, LAST_TOKEN)]
        assert set(one) < set(every)
        assert every == sorted(every, key=lambda cell: (cell.layer, PARTS.index(cell.block)))


class TestPaths:
    WRITE, READ = Cell(WRITER, ALL), Cell(READER, LAST_TOKEN)

    def run(self, model, cells):
        setting, counterparts = relay(model)
        at, runs = traced(setting, counterparts)
        result = path_runs.run(setting, at, cells)
        rows = scores.by_path(result, runs, setting.pairs, CONFIG)
        return {
            (row["writer_layer"], row["reader_layer"], row["reader_block"], row["run"]): row[
                "share"
            ]
            for row in rows
        }

    def test_all_of_it_passes_through_the_reader_and_nothing_around(self):
        result = self.run(relay_model(), [self.WRITE, self.READ])
        path = (WRITER, READER, LAST_TOKEN)
        assert result[*path, THROUGH] == pytest.approx(1, abs=ROUNDING)
        assert result[*path, AROUND] == pytest.approx(0, abs=ROUNDING)

    def test_nothing_passes_through_a_head_that_reads_and_is_not_read(self):
        result = self.run(decoy_model(), [Cell(WRITER, LAST_TOKEN), Cell(3, LAST_TOKEN)])
        assert result[WRITER, 3, LAST_TOKEN, THROUGH] == pytest.approx(0, abs=ROUNDING)
        assert result[WRITER, 3, LAST_TOKEN, AROUND] == pytest.approx(1, abs=ROUNDING)

    def test_paths_lead_to_later_layers_only_and_each_is_there_once(self):
        cells = [Cell(1, "user turn"), Cell(2, "user turn"), Cell(2, LAST_TOKEN)]
        result = path_runs.paths(cells)
        assert len(set(result)) == len(result) == 3
        assert all(writer.layer < reader.layer for writer, reader in result)
        assert path_runs.paths(cells[:1]) == []

    def test_personas_may_differ_near_the_end_alone(self):
        """Then fewer positions are paired than the last ones that the paper patches."""
        setting, counterparts = end_alone()
        at, runs = traced(setting, counterparts)
        assert max(p.reach for p in at[ALL]) < CONFIG.positions
        cells = [Cell(1, LAST_TOKEN), Cell(2, LAST_TOKEN)]
        assert len(path_runs.run(setting, at, cells)) == 2 * 2 * len(setting.pairs.base)
        assert "system" not in runs["block"]

    def test_without_cells_there_are_no_rows(self):
        setting, counterparts = planted()
        at = places(counterparts, CONFIG.positions)
        assert path_runs.run(setting, at, []).is_empty()


class TestRoles:
    def path(self, writer, reader, low):
        share = Interval(low + 0.1, low, low + 0.2, 20)
        return PathEffect(writer, reader, share, share)

    def test_a_writer_is_told_from_its_reader(self):
        paths = {"a": self.path("1 user turn", "2 last token", MOST + 0.1)}
        assert scores.roles(paths, ["1 user turn", "2 last token", "2 question"]) == (
            ["1 user turn"],
            ["2 last token"],
        )

    def test_less_than_most_makes_no_role(self):
        paths = {"a": self.path("1 user turn", "2 last token", MOST - 0.1)}
        assert scores.roles(paths, ["1 user turn", "2 last token"]) == ([], [])

    def test_a_layer_that_reads_at_all_places_makes_readers_of_its_cells(self):
        paths = {"a": self.path("1 user turn", "2 all", MOST + 0.1)}
        cells = ["1 user turn", "2 question", "2 last token", "12 last token"]
        assert scores.roles(paths, cells) == (["1 user turn"], ["2 question", "2 last token"])


def test_the_report_names_the_writer_its_reader_and_what_the_last_positions_see():
    setting, counterparts = relay(relay_model())
    at, runs = traced(setting, counterparts)
    there_, back = reverse(setting, at)
    cells = [Cell(WRITER, ALL), Cell(READER, LAST_TOKEN)]
    table = pl.concat([runs, map_runs.layers(there_, back), map_runs.heads(setting, at, cells)])
    about = setting.pairs
    by_cell, by_head = (f(table, about, CONFIG) for f in (scores.by_cell, scores.by_head))
    paths = scores.by_path(path_runs.run(setting, at, cells), table, about, CONFIG)
    result = scores.summarise(table, about, by_cell, by_head, paths, CONFIG, 0.25)
    writer, reader = f"{WRITER} {ALL}", f"{READER} {LAST_TOKEN}"
    assert [*result.cells] == [writer, reader]
    assert (result.writers, result.readers) == ([writer], [reader])
    assert result.cells[reader].recovered.value == pytest.approx(1, abs=ROUNDING)
    assert result.cells[reader].reverse.value == pytest.approx(1, abs=ROUNDING)
    assert result.cells[reader].accuracy.value == 1
    assert result.cells[reader].heads["0"].value == pytest.approx(1, abs=ROUNDING)
    assert result.cells[reader].heads["1"].value == pytest.approx(0, abs=ROUNDING)
    assert result.views["last"].layer == READER
    assert len(by_cell) == 2 * len(at) * setting.shape[0]
