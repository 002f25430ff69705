"""Stage `inspect` on a planted model: what carries the lie, and where, is known."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
import torch

from stages.inspect import __main__ as stage
from stages.inspect import attention, runs, traced_heads
from stages.lib import inspection
from stages.lib.forward import patcher as forward_patcher
from stages.lib.inspection import Inspection
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.patching import patch
from stages.lib.patching.patch import Head
from stages.trace.schema import RUNS
from tests import planted, tiny

PLANTED = Head(tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
VERDICT = 2  # the layer whose MLP multiplies truth and persona
SOURCE, BASE, PATCHED = range(3)
ROUNDING = 1e-5


def close(a, b):
    np.testing.assert_allclose(a, b, atol=ROUNDING, rtol=ROUNDING)


@pytest.fixture(scope="module")
def setting():
    return planted.experiment(tiny.planted_model())


@pytest.fixture(scope="module")
def looked(setting):
    return runs.look(setting, patch.of_heads([[PLANTED]], *setting.shape)[0])


def odds(looked, label):
    return (looked.lens[..., 0] - looked.lens[..., 1]) * np.where(label, 1, -1)[:, None]


class TestRuns:
    def test_the_patch_undoes_the_lie_and_answers_are_those_of_the_patcher(self, setting, looked):
        patches = patch.of_heads([[PLANTED]], *setting.shape)
        expected = setting.patcher()(patches, "test")
        for run, p in (
            (SOURCE, expected.source),
            (BASE, expected.base),
            (PATCHED, expected.patched[0]),
        ):
            close(np.exp(looked.answers[run]), p)
        label = setting.pairs.label
        result = [planted.accuracy(np.exp(p), label) for p in looked.answers]
        assert result == [1.0, 0.0, 1.0]

    def test_the_lens_ends_in_the_answer(self, setting, looked):
        assert looked.lens.shape == (3, len(setting.pairs.base), 6, 2)
        close(looked.lens[:, :, -1], looked.answers)
        assert not np.allclose(looked.lens[BASE, :, 1], looked.answers[BASE])

    def test_runs_part_where_the_answer_is_made(self, setting, looked):
        """The MLP of layer 2 makes it: what enters layer 3 has it, and what enters layer 2 does not."""
        result = odds(looked, setting.pairs.label)
        close(result[SOURCE, :, : VERDICT + 1], result[BASE, :, : VERDICT + 1])
        assert (result[SOURCE, :, VERDICT + 1 :] > 1).all()
        assert (result[BASE, :, VERDICT + 1 :] < -1).all()

    def test_a_patched_run_is_the_base_run_up_to_its_layer_and_the_source_run_after(self, looked):
        first = PLANTED.layer + 1
        close(looked.lens[PATCHED, :, :first], looked.lens[BASE, :, :first])
        close(looked.lens[PATCHED, :, first:], looked.lens[SOURCE, :, first:])

    def test_a_patch_of_nothing_is_the_base_run(self, setting):
        looked = runs.look(setting, np.zeros(setting.shape, bool))
        close(looked.lens[PATCHED], looked.lens[BASE])
        close(looked.answers[PATCHED], looked.answers[BASE])

    def test_effects_are_those_of_attribution_patching(self):
        setting = planted.experiment(tiny.random_model())
        looked = runs.look(setting, patch.of_heads([[Head(1, 1)]], *setting.shape)[0])
        expected = setting.patcher().attribution("test")
        assert np.abs(expected).max() > 1e-3
        close(looked.effects, expected)

    def test_plain_forwards_give_the_same(self, setting, looked, monkeypatch):
        monkeypatch.setattr(forward_patcher, "shortcut_is_exact", lambda *_: False)
        plain = runs.look(setting, patch.of_heads([[PLANTED]], *setting.shape)[0])
        for name in ("answers", "lens", "effects"):
            np.testing.assert_allclose(getattr(plain, name), getattr(looked, name), atol=1e-3)

    def test_a_model_that_the_lens_does_not_fit_gives_answers_and_the_reason(
        self, setting, looked, monkeypatch
    ):
        def unfit(*_):
            raise runs.Unfit("a layer does more")

        monkeypatch.setattr(runs, "Sublayers", unfit)
        result = runs.look(setting, patch.of_heads([[PLANTED]], *setting.shape)[0])
        assert result.reasons == {"lens": "LlamaForCausalLM: a layer does more"}
        assert result.lens.shape[2] == 0
        close(result.answers, looked.answers)


class TestAttention:
    def test_heads_without_queries_and_keys_attend_to_all_tokens_alike(self, setting):
        of = [setting.pairs.source, setting.pairs.base]
        result = attention.look(setting.lm, of, [PLANTED])
        for role, prompts in enumerate(of):
            for row, ids in enumerate(prompts):
                close(result.last[role, row, 0, : len(ids)], np.full(len(ids), 1 / len(ids)))
                assert not result.last[role, row, 0, len(ids) :].any()
        n = result.prefix.shape[-1]
        assert n > 5
        close(result.prefix.sum(-1)[1, 0, :3], np.ones(3))
        close(result.prefix[1, 0, 3, :5], [0.25] * 4 + [0])

    @pytest.mark.parametrize("n_shared", [0, 3, 15])
    @pytest.mark.parametrize("architecture", ["llama", "mistral", "gemma2", "gemma3_text"])
    def test_it_is_the_attention_of_whole_prompts(self, architecture, n_shared):
        """Also where what they share is longer than a sliding window of 12 tokens."""
        is_llama = architecture == "llama"
        lm = tiny.wrap(tiny.random_model()) if is_llama else tiny.of(architecture)
        heads, size = [Head(0, 3), Head(1, 1), Head(2, 1)], len(lm.tokenizer) - 5
        prompts = [[*range(5, 5 + n_shared), *range(40 + i, 44 + 2 * i)] for i in range(6)]
        prompts = [[token % size for token in ids] for ids in prompts]
        result = attention.look(lm, [prompts], heads)
        assert result.prefix.shape == (1, 3, n_shared, n_shared)
        lm.model.set_attn_implementation("eager")
        for row, ids in enumerate(prompts):
            with torch.no_grad():
                whole = lm.model(torch.tensor([ids]), output_attentions=True).attentions
            for i, (layer, number) in enumerate(heads):
                close(result.last[0, row, i, : len(ids)], whole[layer][0, number, -1])
                assert not np.allclose(whole[layer][0, number, -1], whole[layer][0, 0, -1])
                close(result.prefix[0, i], whole[layer][0, number, :n_shared, :n_shared])

    def test_the_model_attends_afterwards_as_before(self, setting):
        config = setting.lm.model.config
        before = config._attn_implementation
        assert before != "eager"
        attention.look(setting.lm, [setting.pairs.base], [PLANTED])
        assert config._attn_implementation == before

    def test_no_heads_attend_to_nothing(self, setting):
        assert attention.look(setting.lm, [setting.pairs.base], []).last.shape[2] == 0

    def test_a_model_that_hides_its_attention_is_named(self, setting):
        own = setting.lm.decoder

        class Hiding:
            def __call__(self, **options):
                output = own(**options)
                output.attentions = None
                return output

        result = attention.look(
            replace(setting.lm, decoder=Hiding()), [setting.pairs.base], [PLANTED]
        )
        assert result.reasons == {
            "attention": "LlamaForCausalLM: it does not give the attention of these layers"
        }
        assert result.last.shape[-1] == 0


class TestStatements:
    def table(self):
        n = 12
        text = [str(i) for i in range(n)]
        return pl.DataFrame(
            {
                "statement_id": [f"s{i:02}" for i in range(n)],
                "topic": ["a", "b"] * 6,
                "label": [i % 4 < 2 for i in range(n)],
                "known": [i % 3 == 0 for i in range(n)],
                "split": ["selection"] * 4 + ["report"] * 8,
                **dict.fromkeys(
                    ("statement", "subject", "origin", "source_text", "base_text"), text
                ),
                **dict.fromkeys(
                    ("source_ids", "base_ids", "source_prefix_ids", "base_prefix_ids"), [[1, 2]] * n
                ),
            }
        )

    def ids(self, limit, swept):
        result = stage._statements(self.table(), pl.Series(swept, dtype=pl.String), limit)
        return result.table["statement_id"].to_list()

    def test_they_are_those_of_the_report_split_known_or_not(self):
        assert self.ids(None, []) == [f"s{i:02}" for i in range(4, 12)]

    def test_those_whose_heads_were_patched_are_added_and_count_for_no_limit(self):
        few = self.ids(4, [])
        assert len(few) == 4
        assert self.ids(4, ["s01", "s01"]) == sorted([*few, "s01"])

    def test_nothing_to_inspect_is_said(self):
        with pytest.raises(UserError, match="found no statement in the report split, expected"):
            stage._statements(self.table()[:4], pl.Series([], dtype=pl.String), None)


class TestTracedHeads:
    STATEMENTS = pl.DataFrame({"statement_id": ["s0", "s1"], "label": [True, False]})

    def rows(self, into, layer, block, head, p_right):
        """A patched run of both statements: the right answer is "true" in the first one alone."""
        where = (into, f"{layer} {block} {head}")
        where_patched = (1.0, layer, block, head)
        p_true, p_false = (p_right, 1 - p_right), (1 - p_right, p_right)
        return [
            ("s0", "honest", *where, *p_true, *where_patched),
            ("s1", "honest", *where, *p_false, *where_patched),
        ]

    def best(self, *runs):
        rows = [row for run in runs for row in self.rows(*run)]
        table = pl.DataFrame(rows, RUNS, orient="row")
        return traced_heads.best(table, self.STATEMENTS, "liar")

    def test_of_each_cell_the_heads_that_recover_most(self):
        turn = [("liar", 2, "user turn", head, 0.2 + head / 10) for head in range(5)]
        last = [("liar", 1, "last token", head, 0.9 - head / 10) for head in range(5)]
        best = self.best(("liar", None, None, None, 0.1), *turn, *last)
        assert best == [Head(1, 0), Head(1, 1), Head(1, 2), Head(2, 2), Head(2, 3), Head(2, 4)]

    def test_a_head_that_recovers_nothing_is_none_of_them(self):
        heads = [("liar", 2, "user turn", head, p) for head, p in enumerate((0.1, 0.05, 0.2))]
        assert self.best(("liar", None, None, None, 0.1), *heads) == [Head(2, 2)]

    def test_layers_and_the_reverse_direction_choose_no_head(self):
        unpatched = [(into, None, None, None, 0.1) for into in ("liar", "honest")]
        others = [("liar", 2, "user turn", None, 0.9), ("honest", 2, "user turn", 1, 0.9)]
        assert self.best(*unpatched, *others) == []

    def test_a_head_of_two_cells_stands_once(self):
        cells = [("liar", 2, block, 3, 0.9) for block in ("user turn", "last token")]
        assert self.best(("liar", None, None, None, 0.1), *cells) == [Head(2, 3)]


class TestFile:
    INSPECTION = Inspection(
        statement_ids=["s0"],
        heads=[[1, 2]],
        answers=np.arange(6, dtype=np.float32).reshape(3, 1, 2),
        lens=np.arange(6, dtype=np.float32).reshape(3, 1, 1, 2),
        effects=np.ones((1, 2, 3), np.float32),
        last=np.ones((2, 1, 1, 4), np.float32),
        prefix=np.ones((2, 1, 0, 0), np.float32),
        reasons={"lens": "why"},
    )

    def test_what_is_read_is_what_was_written_byte_by_byte(self, tmp_path):
        for name in ("a", "b"):
            inspection.write(tmp_path / name, self.INSPECTION)
        assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
        read = inspection.read(tmp_path / "a")
        for name, value in vars(self.INSPECTION).items():
            np.testing.assert_array_equal(getattr(read, name), value)

    def test_another_file_is_named(self, tmp_path):
        tables.write_json(tmp_path / "other", {})
        with pytest.raises(UserError, match="other: cut or changed"):
            inspection.read(tmp_path / "other")
