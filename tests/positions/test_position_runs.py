"""Where the planted persona must be written, exactly; and z that is moved before it is written."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from stages.lib.model import readout
from stages.lib.patching import aligned, patch
from stages.lib.patching.blocks import BLOCKS, Pairs, PersonaWording
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.layer_window import Window
from stages.positions import position_runs, position_tables, scores
from stages.positions.metrics import BlockPoint
from stages.positions.position_runs import Choice
from stages.positions.schema import ALL, SCHEMA
from tests import tiny
from tests.intervals import of_type, there
from tests.placed import CONFIG, LABEL, QUESTION, experiment, planted

ROUNDING = 1e-5


def window(setting: Experiment):
    """The planted layer and the next one."""
    return patch.windows(*setting.shape, 2)[tiny.PLANTED_LAYER]


def accuracy(result, readouts):
    return patch.correct(readouts, result.label).mean(-1)


class TestOnThePlantedModel:
    """The MLP that multiplies p_correct and persona is read at the last position only."""

    @pytest.mark.parametrize(("prefix", "last"), [("it is", "prefix"), ("", "assistant turn")])
    def test_the_block_of_the_last_position_decides_and_no_other_does_anything(self, prefix, last):
        setting, counterparts = planted(prefix)
        chosen = position_runs.choices(counterparts, 3, 0)
        result = position_runs.at_blocks(setting, window(setting), counterparts, chosen)
        right = dict(zip(chosen, accuracy(result.pairs, result.readouts.patched), strict=True))
        base = patch.p_correct(result.readouts.base, result.pairs.label)
        for choice, p in zip(chosen, result.readouts.patched, strict=True):
            if choice.run in ("alone", "left_out"):
                decides = (choice.block in (last, ALL)) == (choice.run == "alone")
                assert right[choice] == float(decides), choice
                p_correct = patch.p_correct(p, result.pairs.label)
                assert decides or np.abs(p_correct - base).max() < ROUNDING
        elsewhere = [right[w] for w in chosen if (w.run, w.block) == ("elsewhere", last)]
        assert elsewhere == [0.0] * 3
        assert {w.block for w in chosen} == {*BLOCKS, ALL} - ({"prefix"} - {last})

    def test_the_last_position_is_enough_and_more_are_never_worse(self):
        setting, _ = planted()
        heads = np.zeros(setting.shape, bool)
        heads[tiny.PLANTED_LAYER, tiny.PLANTED_HEAD] = True
        patches = {"window": window(setting), "set": heads, "other": window(setting) & ~heads}
        result = position_runs.last_runs(setting, patches, [1, 2, 5, 20])
        right = accuracy(result.pairs, result.readouts.patched)  # (n_counts, n_patches)
        assert right.tolist() == [[1.0, 1.0, 0.0]] * 4
        p_correct = patch.p_correct(result.readouts.patched, result.pairs.label)
        assert (np.diff(p_correct, axis=0) > -ROUNDING).all()

    def test_as_many_positions_as_windows_patch_give_what_windows_give(self):
        setting, _ = planted()
        result = position_runs.last_runs(
            setting, {"window": window(setting)}, [3, CONFIG.positions, 30]
        )
        expected = setting.patcher()(window(setting)[None], "test")
        np.testing.assert_allclose(result.readouts.patched[1], expected.patched, atol=ROUNDING)
        np.testing.assert_allclose(result.readouts.base, expected.base, atol=ROUNDING)

    def test_tables_and_metrics_say_which_block_decides(self):
        setting, counterparts = planted()
        chosen = position_runs.choices(counterparts, 2, 0)
        result = position_runs.at_blocks(setting, window(setting), counterparts, chosen)
        patches = {"window": window(setting)}
        counts = position_runs.last_runs(setting, patches, [1, 12])
        rows = position_tables.rows(counts, result, patches, CONFIG)
        points = scores.by_block(setting.pairs, rows, CONFIG)
        by_count = scores.by_count(setting.pairs, rows, CONFIG)
        metrics = scores.summarise(setting.pairs, rows, by_count, points, CONFIG)
        prefix, system = metrics.blocks["prefix"], metrics.blocks["system"]
        assert of_type(BlockPoint, prefix["alone"]).accuracy == 1.0
        assert of_type(BlockPoint, prefix["elsewhere"]).n == len(LABEL)
        in_prefix, in_system = prefix["difference"], system["difference"]
        assert isinstance(in_prefix, dict)
        assert isinstance(in_system, dict)
        assert in_prefix["alone - elsewhere"].accuracy.value == 1.0
        assert in_system["alone - base"].accuracy.value == 0.0
        assert there(in_prefix["all - left_out"].accuracy.low) > 0
        assert metrics.counts["window"]["1"].accuracy == 1.0
        assert metrics.unpatched["blocks"].base.accuracy == 0.0
        layer = tiny.PLANTED_LAYER
        assert metrics.window == Window(layer, layer + 1)
        assert metrics.n_heads == 0
        assert set(rows.columns) == set(SCHEMA)
        key = ["statement_id", "base", "patch_id"]
        assert not rows.select(key).is_duplicated().any()
        n = sum(p.block.tolist().count(BLOCKS.index("prefix")) for p in counterparts)
        own = rows.filter(pl.col("run") == "alone", pl.col("block") == "prefix")
        assert own["positions"].sum() == n

    def test_no_statement_and_no_window_leave_empty_cells(self):
        setting, _ = planted()
        nobody = setting.pairs.only(setting.pairs.table["statement_id"][:0])
        empty = replace(setting, pairs=nobody)
        counts = position_runs.last_runs(empty, {}, [1, 5])
        result = position_runs.at_blocks(empty, np.zeros(setting.shape, bool), [], {})
        rows = position_tables.rows(counts, result, {}, CONFIG)
        assert rows.is_empty()
        by_count = scores.by_count(nobody, rows, CONFIG)
        by_block = scores.by_block(nobody, rows, CONFIG)
        assert {row["accuracy"] for row in by_count + by_block} == {None}
        metrics = scores.summarise(nobody, rows, by_count, by_block, CONFIG)
        assert metrics.unpatched["counts"].base.n == 0
        assert (metrics.counts, metrics.blocks) == ({}, {})
        assert (metrics.window, metrics.n_heads) == (None, 0)


def by_hand(setting, heads, counterparts, chosen, row):
    """P(true) and P(false) of a plain forward whose z is overwritten position by position."""
    model, projections = setting.lm.model, setting.lm.output_projections
    kept = {}

    def keep(layer):
        return lambda _, args: kept.__setitem__(layer, args[0].clone())

    def write(layer):
        def hook(_, args):
            z = args[0].clone().unflatten(-1, (setting.lm.n_heads, -1))
            of = kept[layer].unflatten(-1, (setting.lm.n_heads, -1))
            for i, j in zip(counterparts.base[chosen], counterparts.source[chosen], strict=True):
                z[0, i, heads[layer]] = of[0, j, heads[layer]]
            return (z.flatten(2),)

        return hook

    for hook_of, ids in ((keep, setting.pairs.source[row]), (write, setting.pairs.base[row])):
        handles = [p.register_forward_pre_hook(hook_of(i)) for i, p in enumerate(projections)]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[:, -1]
        for handle in handles:
            handle.remove()
    return readout.probabilities(logits, setting.answers)[0]


@pytest.mark.parametrize("prefix", ["it is", "well, it is"])
def test_each_position_gets_z_of_its_own_counterpart(prefix):
    """A longer prefix in the base prompt: everything before it takes z from another position."""
    base = PersonaWording("You lie all the time.", QUESTION, prefix)
    source = PersonaWording("You are good.", QUESTION, "it is")
    told = ["T one", "F two two", "T three three three", "F x"]
    setting, counterparts = experiment(tiny.random_model(), base, source, told)
    heads = np.zeros(setting.shape, bool)
    heads[1:3], heads[3, 1] = True, True
    chosen = position_runs.choices(counterparts, 1, 0)
    result = position_runs.at_blocks(setting, heads, counterparts, chosen)
    assert len(result.pairs.table) == len(told)
    for number, (choice, masks) in enumerate(chosen.items()):
        for row in range(len(told)):
            expected = by_hand(setting, heads, counterparts[row], masks[row], row)
            np.testing.assert_allclose(
                result.readouts.patched[number, row], expected, atol=ROUNDING, err_msg=str(choice)
            )
    moved = np.abs(result.readouts.patched - result.readouts.base).max()
    assert moved > 20 * ROUNDING  # the patches do something


def test_a_few_statements_at_a_time_give_the_runs_of_all_at_once(monkeypatch):
    setting, counterparts = planted()
    about = setting.pairs  # what a part's prompts start with would depend on the part
    own = {"base_prefix": about.base[0][:3], "source_prefix": about.source[0][:3]}
    setting = replace(setting, pairs=replace(about, **own))
    chosen = position_runs.choices(counterparts, 1, 0)
    whole = position_runs.at_blocks(setting, window(setting), counterparts, chosen)
    monkeypatch.setattr(aligned, "STATEMENTS_AT_ONCE", 3)
    sizes = [len(part) for part, _, _ in aligned.patchers(setting, counterparts)]
    assert max(sizes) <= 3 < len(setting.pairs.table) == sum(sizes)
    parts = position_runs.at_blocks(setting, window(setting), counterparts, chosen)
    for name in ("base", "source", "patched"):
        assert np.array_equal(getattr(parts.readouts, name), getattr(whole.readouts, name))


def some_pairs(random, n):
    result = []
    for length in random.integers(20, 60, n).tolist():
        places = -1 - np.arange(length - int(random.integers(0, 4)))[::-1]
        result.append(Pairs(np.sort(random.integers(0, 6, len(places))), places, places))
    return result


def test_statements_of_all_lengths_are_patched_and_give_what_they_give_alone():
    base, source = (PersonaWording(f"You are {x}.", QUESTION, "it is") for x in ("so L", "H"))
    told = ["T one", "F two two", *[f"T {'three ' * n}" for n in (5, 20, 40)]]
    setting, counterparts = experiment(tiny.planted_model(), base, source, told)
    (part, patcher, _), *others = aligned.patchers(setting, counterparts)
    assert part == [*range(len(told))]
    assert not others
    assert min(map(len, setting.pairs.base)) < patcher.base.n_tail
    chosen = position_runs.choices(counterparts, 1, 0)
    together = position_runs.at_blocks(setting, window(setting), counterparts, chosen).readouts
    for row in part:
        one = replace(setting, pairs=setting.pairs.only(setting.pairs.table["statement_id"][[row]]))
        alone = position_runs.at_blocks(
            one, window(setting), [counterparts[row]], {c: [m[row]] for c, m in chosen.items()}
        ).readouts
        for name in ("base", "source", "patched"):
            np.testing.assert_allclose(
                getattr(alone, name)[..., 0, :], getattr(together, name)[..., row, :], atol=1e-5
            )


def test_writings_split_the_prompt_and_random_positions_are_outside():
    counterparts = some_pairs(np.random.default_rng(2), 10)
    chosen = position_runs.choices(counterparts, 2, 0)
    again = position_runs.choices(counterparts, 2, 0)
    for row, p in enumerate(counterparts):
        alone = [chosen[Choice("alone", block, 0)][row] for block in BLOCKS]
        assert (np.sum(alone, axis=0) == 1).all()  # each position in one block
        for block, own in zip(BLOCKS, alone, strict=True):
            assert (chosen[Choice("left_out", block, 0)][row] == ~own).all()
            draws = [chosen[Choice("elsewhere", block, draw)][row] for draw in range(2)]
            for drawn in draws:
                assert not (drawn & own).any()
                assert drawn.sum() == min(own.sum(), (~own).sum())
        assert len(p.block) == chosen[Choice("alone", ALL, 0)][row].sum()
    assert all((a == b).all() for w in chosen for a, b in zip(chosen[w], again[w], strict=True))
    first, second = (chosen[Choice("elsewhere", "system", draw)] for draw in range(2))
    assert any((a != b).any() for a, b in zip(first, second, strict=True))
