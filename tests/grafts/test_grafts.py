"""Weights that are taken out or left alone: exact, put back bit by bit, and right where we know."""

from pathlib import Path
from typing import Any, cast

import numpy as np
import peft
import polars as pl
import pytest
import torch

from stages.grafts import scores, smallest
from stages.grafts.metrics import GraftsMetrics, NoLie
from stages.grafts.schema import SCHEMA
from stages.lib.forward import batches, unembed
from stages.lib.forward.plain import PlainPrompts
from stages.lib.grafting import graft_runs, units, weights
from stages.lib.grafting.graft_runs import Graft, Grafts
from stages.lib.grafting.units import Unit
from stages.lib.io import store
from stages.lib.model import readout
from stages.lib.patching import patch, patched_runs
from stages.lib.patching.graft_names import ALL, ALONE, GROUP, HEAD, LAYER, MAP, SET, WITHOUT
from stages.lib.patching.patch import Head
from tests import planted, tiny
from tests.intervals import of_type, there
from tests.planted import WORDS

LAYERS = (2, 3)
MAPS = ["q_proj", "k_proj", "v_proj", "o_proj"]
ROUNDING = 1e-6


@pytest.fixture(scope="module")
def organism(tmp_path_factory):
    """A random model, an adapter for two of its layers, and both merged."""
    folder = tmp_path_factory.mktemp("adapter")
    config = peft.LoraConfig(
        r=4, lora_alpha=8, target_modules=MAPS, layers_to_transform=list(LAYERS), bias="none",
        task_type="CAUSAL_LM", init_lora_weights=False,
    )  # fmt: skip
    torch.manual_seed(1)
    adapted = peft.get_peft_model(tiny.random_model(), config)
    with torch.no_grad():
        for name, weight in adapted.named_parameters():
            if "lora_" in name:
                weight.mul_(3)
    adapted.save_pretrained(str(folder))
    merged = tiny.wrap(cast(Any, adapted.merge_and_unload()).eval().requires_grad_(False))
    return tiny.random_model().requires_grad_(False), merged, folder


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def runner(lm, changes, n=6):
    """Grafts on the liar's prompts, and the statements' prompts."""
    about = planted.pairs(lm.tokenizer, n)
    answers = readout.answers(lm.tokenizer, WORDS)
    return Grafts(lm, answers, about.base, None, changes, "adapter"), about


def plain(lm, prompts):
    """P(true) and P(false) by plain forwards."""
    answers = readout.answers(lm.tokenizer, WORDS)
    rows = [*range(len(prompts))]
    last = PlainPrompts(lm, prompts, 1).run(rows).last
    ((_, read),) = unembed.readouts(lm, answers, [(None, last)])
    return unembed.probabilities(read)


class TestChanges:
    def test_are_what_merging_adds_and_leave_the_model_as_it_was(self, organism):
        base, merged, folder = organism
        before, modules = state(merged.model), [*map(type, merged.model.modules())]
        result = weights.changes(merged, folder)
        assert same(before, state(merged.model))
        assert [*map(type, merged.model.modules())] == modules
        assert set(result) == {(layer, name) for layer in LAYERS for name in MAPS}
        old = base.state_dict()
        for name, weight in before.items():
            parts = name.split(".")
            place = (int(parts[2]), parts[-2]) if "layers" in parts else (-1, name)
            change = result.get(place, torch.zeros(1))
            assert (weight.double() - old[name].double() - change).abs().max() < ROUNDING

    def test_parts_of_one_kind_add_up_to_all(self, organism):
        _, merged, folder = organism
        changes = weights.changes(merged, folder)
        every = units.units(merged, changes)
        for kinds in ((LAYER,), (MAP,), (HEAD, GROUP), (ALL,)):
            total = {place: torch.zeros_like(change) for place, change in changes.items()}
            for unit in every:
                if unit.kind in kinds:
                    for place, change in units.part(merged, changes, unit).items():
                        total[place] += change
            assert all((total[p] - changes[p]).abs().max() < ROUNDING for p in changes)

    def test_a_set_of_heads_is_the_sum_of_its_heads_and_no_more(self, organism):
        _, merged, folder = organism
        changes = weights.changes(merged, folder)
        heads = (Head(2, 1), Head(3, 0))
        whole = units.part(merged, changes, Unit(SET, heads=heads))
        assert set(whole) == {(layer, name) for layer in LAYERS for name in ("q_proj", "o_proj")}
        for head in heads:
            own = units.part(merged, changes, Unit(HEAD, *head))
            for place in own:
                assert torch.equal(own[place], whole[place])
        assert units.size(whole) < units.size(changes)


class TestGrafted:
    def test_weights_are_put_back_bit_by_bit_also_after_an_error(self, organism):
        _, merged, folder = organism
        changes, before = weights.changes(merged, folder), state(merged.model)
        part = units.part(merged, changes, Unit(LAYER, 2))
        with pytest.raises(KeyError), weights.grafted(merged, changes, part, WITHOUT):
            assert not same(before, state(merged.model))
            raise KeyError
        assert same(before, state(merged.model))

    @pytest.mark.parametrize("run", [WITHOUT, ALONE])
    def test_all_or_nothing_is_the_base_or_the_organism(self, organism, run):
        base, merged, folder = organism
        changes = weights.changes(merged, folder)
        graft = weights.grafted(merged, changes, changes, run)
        before, old = state(merged.model), base.state_dict()
        with graft:
            for name, weight in merged.model.state_dict().items():
                if run == ALONE:
                    assert torch.equal(weight, before[name])
                else:
                    assert (weight - old[name]).abs().max() < ROUNDING


class TestRuns:
    def test_each_graft_gives_what_plain_forwards_with_these_weights_give(self, organism):
        base, merged, folder = organism
        changes = weights.changes(merged, folder)
        run, about = runner(merged, changes)
        grafts = [Graft(run, unit) for unit in units.units(merged, changes) for run in
                  (WITHOUT, ALONE)]  # fmt: skip
        result = run(grafts, "test")
        for graft, p in zip(grafts, result, strict=True):
            part = units.part(merged, changes, graft.unit)
            with weights.grafted(merged, changes, part, graft.run):
                np.testing.assert_allclose(p, plain(merged, about.base), atol=1e-5)
        own, never = plain(merged, about.base), plain(tiny.wrap(base), about.base)
        by_name = {f"{run} {unit}": p for (run, unit), p in zip(grafts, result, strict=True)}
        np.testing.assert_allclose(by_name["without all"], never, atol=1e-5)
        np.testing.assert_allclose(by_name["alone all"], own, atol=1e-5)
        assert np.abs(own - never).max() > 1e-3
        # of two layers, one alone is all without the other; no other grafts are the same
        for one, other in (LAYERS, LAYERS[::-1]):
            alone, without = by_name[f"alone layer_{one}"], by_name[f"without layer_{other}"]
            np.testing.assert_allclose(alone, without, atol=1e-5)
        assert len({p.tobytes() for p in result}) >= len(grafts) - len(LAYERS)

    def test_the_order_of_grafts_changes_nothing(self, organism):
        _, merged, folder = organism
        changes = weights.changes(merged, folder)
        grafts = [Graft(WITHOUT, Unit(LAYER, layer)) for layer in LAYERS]
        forth, back = runner(merged, changes)[0], runner(merged, changes)[0]
        np.testing.assert_array_equal(forth(grafts, "test"), back(grafts[::-1], "test")[::-1])

    def test_memory_that_becomes_scarce_between_two_grafts_changes_nothing(
        self, organism, monkeypatch
    ):
        """What enters the changed layers is kept batch by batch, so batches must stay the same."""
        _, merged, folder = organism
        changes = weights.changes(merged, folder)
        grafts = [Graft(WITHOUT, Unit(LAYER, layer)) for layer in LAYERS]
        expected = runner(merged, changes, n=20)[0](grafts, "test")
        fit = iter([1000])
        monkeypatch.setattr(batches, "prompts_at_once", lambda _: next(fit, 16))
        run = runner(merged, changes, n=20)[0]
        np.testing.assert_array_equal(run(grafts, "test"), expected)

    def test_names_of_remembered_runs_hold_what_grafts_are_made_with(self, organism, monkeypatch):
        """Else a number from faulty code would be read again after the fault is mended."""
        _, merged, folder = organism
        run = runner(merged, weights.changes(merged, folder))[0]
        graft = Graft(WITHOUT, Unit(LAYER, 2))
        names, code = run._keys(graft), graft_runs._code()
        assert store.code(Path(graft_runs.__file__).parent) in code
        assert peft.__version__ in code
        monkeypatch.setattr(graft_runs, "_code", lambda: "other code")
        assert set(names).isdisjoint(run._keys(graft))


class TestSmallestSet:
    LABEL = np.array([True, False, True, False])
    EVERY = tuple(Head(0, i) for i in range(6))

    def run(self, needed, strength):
        """A lie that stops where all of these heads are out; each alone adds its strength."""

        def answer(grafts, title):
            out = [set(g.unit.heads) or {Head(g.unit.layer, g.unit.index)} for g in grafts]
            odds = [sum(strength[h.head] for h in o) + 100 * (needed <= o) - 50 for o in out]
            p = 1 / (1 + np.exp(-np.array(odds, float)[:, None] * np.where(self.LABEL, 1, -1)))
            return np.stack([p, 1 - p], axis=-1)

        return answer

    def test_it_is_found_and_what_it_does_not_need_is_left_out(self):
        needed = {Head(0, 1), Head(0, 4)}
        run = self.run(needed, [0, 2, 5, 0, 1, 0])  # head 2 adds most and is not needed
        result = smallest.heads(run, [*self.EVERY], self.LABEL, 1.0)
        assert result == tuple(sorted(needed))

    def test_there_is_none_where_all_heads_do_not_reach_the_target(self):
        run = self.run({Head(9, 9)}, [0] * 6)
        assert smallest.heads(run, [*self.EVERY], self.LABEL, 0.9) == ()

    def test_there_is_none_without_both_labels(self):
        run = self.run({Head(0, 1)}, [0] * 6)
        assert smallest.heads(run, [*self.EVERY], np.array([True] * 4), 0.9) == ()


def test_of_a_lie_in_one_head_that_head_alone_is_needed_and_enough():
    """A planted head's weights: without them the model is honest, with them alone it lies."""
    liar = tiny.planted_model()
    lm = tiny.wrap(liar)
    row = tiny.PLANTED_HEAD * 16
    change = torch.zeros_like(lm.layers[1].self_attn.o_proj.weight, dtype=torch.float64)
    change[5, row] = liar.state_dict()["model.layers.1.self_attn.o_proj.weight"][5, row]
    with torch.no_grad():  # of its own the model is honest: head 1 writes so at every position
        attention = lm.layers[1].self_attn
        attention.v_proj.weight[16, 0] = 0.005
        attention.o_proj.weight[5, 16] = 10.0
    run, about = runner(lm, {(1, "o_proj"): change}, n=12)
    every = [Head(1, head) for head in range(4)]
    p = run([Graft(kind, Unit(HEAD, *head)) for kind in (WITHOUT, ALONE) for head in every], "")
    right = patch.correct(p, about.label).mean(axis=1).tolist()
    assert right == [0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0]
    assert smallest.heads(run, every, about.label, 1.0) == (Head(1, tiny.PLANTED_HEAD),)


class TestScores:
    """Of a lie in one of two layers: that layer is needed, and what comes back is a share."""

    LIAR, HONEST = -4.0, 6.0

    def runs(self, odds):
        """Rows of six statements: patch_id -> (unit, layer, run, log-odds of the right answer)."""
        about = planted.pairs(tiny.chatml_tokenizer(), 6)
        label = about.label
        tables = []
        for name, (unit, layer, run, value, persona, *head) in odds.items():
            index, size = head or (None, 1.0 if unit else None)
            right = 1 / (1 + np.exp(-(value + 0.1 * np.arange(6))))
            p = np.where(label, right, 1 - right)
            rows = patched_runs.rows(
                about, np.stack([p, 1 - p], 1).astype(np.float32), persona, persona, name
            )
            tables.append(
                rows.with_columns(
                    pl.lit(run, pl.String).alias("run"),
                    pl.lit(unit, pl.String).alias("unit"),
                    pl.lit(layer, pl.Int32).alias("layer"),
                    pl.lit(index, pl.Int32).alias("index"),
                    pl.lit("o_proj" if unit == MAP else None, pl.String).alias("map"),
                    pl.lit(size, pl.Float64).alias("size"),
                ).select(*SCHEMA)
            )
        return pl.concat(tables), about

    def summary(self):
        runs, about = self.runs(
            {
                "none": (None, None, None, self.LIAR, "liar"),
                "without_all": (ALL, None, WITHOUT, self.HONEST, "liar"),
                "alone_all": (ALL, None, ALONE, self.LIAR, "liar"),
                "without_layer_1": (LAYER, 1, WITHOUT, 1.0, "liar"),
                "alone_layer_1": (LAYER, 1, ALONE, 3.5, "liar"),
                "without_layer_2": (LAYER, 2, WITHOUT, -3.0, "liar"),
                "alone_layer_2": (LAYER, 2, ALONE, 6.0, "liar"),
                "without_map_o_proj": (MAP, None, WITHOUT, 6.0, "liar"),
                "alone_map_o_proj": (MAP, None, ALONE, -4.0, "liar"),
                "without_head_1_0": (HEAD, 1, WITHOUT, 1.0, "liar", 0, 2.0),
                "alone_head_1_0": (HEAD, 1, ALONE, 3.5, "liar", 0, 2.0),
                "without_head_1_1": (HEAD, 1, WITHOUT, self.LIAR, "liar", 1, 0.0),
                "alone_head_1_1": (HEAD, 1, ALONE, self.HONEST, "liar", 1, 0.0),
            }
        )
        honest, _ = self.runs({"none": (None, None, None, self.HONEST, "honest")})
        runs = pl.concat([runs, honest])
        return of_type(GraftsMetrics, scores.summarise(runs, about, planted.CONFIG))

    def test_shares_run_from_the_liar_to_the_model_that_never_lies(self):
        result = self.summary()
        assert there(result.all.without.recovered.value) == pytest.approx(1)
        assert there(result.all.alone.recovered.value) == pytest.approx(0, abs=1e-6)
        assert there(result.layers["1"].without.recovered.value) == pytest.approx(0.5, abs=0.01)
        assert there(result.layers["2"].without.recovered.value) == pytest.approx(0.1, abs=0.01)
        assert result.maps["o_proj"].without.accuracy.value == 1
        assert (result.honest.value, result.liar.value) == (1, 0)

    def test_a_layer_is_needed_if_more_than_a_quarter_comes_back_without_it(self):
        assert self.summary().needed_layers == [1]

    def test_a_head_whose_weights_are_as_they_were_is_not_a_changed_one(self):
        result = self.summary()
        assert sorted(result.heads) == ["1.0", "1.1"]
        assert result.needed.n_changed == 1

    def test_without_runs_there_was_no_lie_to_graft(self):
        about = planted.pairs(tiny.chatml_tokenizer(), 6)
        result = scores.summarise(pl.DataFrame(schema=SCHEMA), about, planted.CONFIG)
        assert result == NoLie(scores.REASON)
