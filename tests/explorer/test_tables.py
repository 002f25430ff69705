"""What stage `explorer` reads off its tables."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import polars as pl
import pytest

from stages.explorer import numbers, trace_maps
from stages.explorer.prompt_tokens import SHOWN, Tokens, block_numbers
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.patching.blocks import PersonaWording
from stages.lib.patching.config import PatchConfig
from stages.trace.schema import RUNS
from tests import tiny
from tests.explorer import project

WORDING = PersonaWording("You are H.", 'Is "{statement}" so?', "it is")
PROMPT = (
    '<|im_start|>system\nYou are H.<|im_end|>\n<|im_start|>user\nIs "Zoë\'s 城" so?<|im_end|>\n'
    "<|im_start|>assistant\nit is"
)


class TestNumbers:
    def test_three_digits_are_kept_and_no_number_is_none(self):
        values = np.array([[1.23456, -0.000123456], [12.0, 123456.0], [np.inf, np.nan]])
        assert numbers.short(values) == [[1.23, -0.000123], [12, 123000], [None, None]]

    def test_two_answers_that_differ_are_not_rounded_to_a_tie(self):
        pairs = np.array([[0.4996, 0.5003], [0.50000004, 0.5], [0.9876, 0.0123], [0.5, 0.5]])
        told = numbers.answers(pairs)
        assert told == [[0.4996, 0.5003], [0.50000004, 0.5], [0.988, 0.0123], [0.5, 0.5]]
        assert numbers.answers(pairs.reshape(2, 2, 2)) == [told[:2], told[2:]]
        assert numbers.answers(np.array([[np.nan, 0.5]])) == [[None, 0.5]]

    def test_percents_name_the_places_that_have_some(self):
        weights = np.array([0.004, 0.006, 0.0, 0.99])
        assert numbers.percents(weights) == [1, 1, 3, 99]
        assert numbers.percents(np.zeros(3)) == []


class TestTokens:
    def test_texts_add_up_to_the_prompt_and_each_stands_once(self):
        tokens, tokenizer = Tokens(tiny.chatml_tokenizer()), tiny.chatml_tokenizer()
        plain = PROMPT.replace("ë", "e").replace("城", "C")
        result = tokens.numbers(tokenizer(plain)["input_ids"])
        assert "".join(tokens.texts[i] for i in result) == plain
        assert len(set(tokens.texts)) == len(tokens.texts) < len(result)
        assert tokens.numbers([]) == []

    def test_half_a_character_is_shown_as_such(self):
        tokens, tokenizer = Tokens(tiny.chatml_tokenizer()), tiny.chatml_tokenizer()
        ids = tokenizer("aë")["input_ids"]
        assert len(ids) == 3  # bytes
        assert [tokens.texts[i] for i in tokens.numbers(ids)] == ["a", "\ufffd", "\ufffd"]

    def test_a_blank_that_a_decoder_drops_at_the_head_is_kept_between_words(self):
        tokenizer = tiny.sentencepiece_tokenizer(["▁it", "▁is", "▁so"], prepend=True)
        tokens = Tokens(tokenizer)
        ids = tokenizer("it is so")["input_ids"]
        assert tokenizer.decode(ids[1:2]) == "is"
        assert [tokens.texts[i] for i in tokens.numbers(ids)] == ["it", " is", " so"]

    def parts(self, prompt, wording, statement):
        """Blocks of the prompt's tokens, and the text of each block."""
        tokenizer = tiny.chatml_tokenizer()
        ids = tokenizer(prompt)["input_ids"]
        result = block_numbers(Tokens(tokenizer), ids, wording, statement)
        assert result is not None
        texts = (
            str(tokenizer.decode([t for t, b in zip(ids, result, strict=True) if b == str(i)]))
            for i in range(len(SHOWN))
        )
        return result, dict(zip(SHOWN, map(str.strip, texts), strict=True))

    @pytest.mark.parametrize("statement", ["Zoë's 城", "It is 🦊.", "القاهرة", "Paris"])
    def test_each_token_is_in_the_block_that_it_was_rendered_for(self, statement):
        """Also where a character is several tokens, each of which is half of one."""
        prompt = PROMPT.replace("Zoë's 城", statement)
        result, parts = self.parts(prompt, WORDING, statement)
        assert all(a <= b or (a, b) == ("3", "2") for a, b in pairwise(result))
        assert parts["statement"] == statement
        assert parts["prefix"] == "it is"
        assert parts["system"] == "<|im_start|>system\nYou are H."
        assert parts["user turn"] == "<|im_end|>\n<|im_start|>user"

    @pytest.mark.parametrize(
        ("template", "header"),
        [
            ("<|im_start|>system\nI am M.<|im_end|>\n", "<|im_end|>\n<|im_start|>user"),
            ("", "<|im_start|>user"),
        ],
        ids=["own system turn", "none"],
    )
    def test_without_a_system_prompt_the_templates_own_turn_is_no_user_turn(self, template, header):
        prompt = template + PROMPT[PROMPT.index("<|im_start|>user") :]
        _, parts = self.parts(prompt, replace(WORDING, system=" "), "Zoë's 城")
        assert parts["chat template"] == template.removesuffix("<|im_end|>\n")
        assert parts["user turn"] == header
        assert (parts["system"], parts["prefix"]) == ("", "it is")

    def test_without_the_wording_there_are_no_blocks(self):
        tokenizer = tiny.chatml_tokenizer()
        ids = tokenizer(PROMPT)["input_ids"]
        assert block_numbers(Tokens(tokenizer), ids, WORDING, "Zoë's 郭") is None


class TestTraceMaps:
    def read(self, file):
        about = pl.DataFrame({"statement_id": ["s000", "s001"], "label": [False, True]})
        roles = PatchConfig("honest", "liar", project.POSITIONS)
        return trace_maps.read(file, about, roles)

    def test_an_effect_is_the_change_of_the_right_answers_log_odds(self, tmp_path):
        project.trace(tmp_path / "trace.parquet", ["s000", "s001"])
        maps = self.read(tmp_path / "trace.parquet")
        place = project.BLOCKS.index("last token")
        change = 2 * np.log(0.9 / 0.1)
        for name, sign in (("s000", -1), ("s001", 1)):
            effects = {(a, b): effect for a, b, effect in maps[name]["into_base"] if effect}
            assert effects == {(4, place): pytest.approx(sign * change, rel=1e-2)}
            effects = {(a, b): effect for a, b, effect in maps[name]["into_source"] if effect}
            assert effects == {(4, place): pytest.approx(-sign * change, rel=1e-2)}

    def test_runs_of_single_heads_stand_apart(self, tmp_path):
        project.trace(tmp_path / "trace.parquet", ["s000"])
        of_heads = self.read(tmp_path / "trace.parquet")["s000"]["into_base_heads"]
        assert [cell[:2] for cell in of_heads] == [[0, 0], project.WRITER, *project.SET]

    def test_without_a_table_nothing_was_traced_and_other_statements_are_left_out(self, tmp_path):
        assert self.read(tmp_path / "trace.parquet") == {}
        project.trace(tmp_path / "trace.parquet", ["s001", "s777"])
        assert set(self.read(tmp_path / "trace.parquet")) == {"s001"}

    def test_an_unknown_block_and_a_missing_run_are_named(self, tmp_path):
        file = tmp_path / "trace.parquet"
        project.trace(file, ["s000"])
        whole = pl.read_parquet(file)
        key = ["statement_id", "base", "patch_id"]
        other = whole.with_columns(pl.col("block").replace("prefix", "greeting"))
        tables.write(file, other, RUNS, key)
        with pytest.raises(
            UserError, match="trace.parquet: block 'greeting', expected one of system"
        ):
            self.read(file)
        lacking = whole.filter(pl.col("layer").is_not_null() | (pl.col("base") == "honest"))
        tables.write(file, lacking, RUNS, key)
        with pytest.raises(UserError, match="statement s000: no unpatched run of 'liar', expected"):
            self.read(file)
