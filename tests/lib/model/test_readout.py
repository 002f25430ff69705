"""Answer tokens come from the vocabulary; probabilities are sums over them."""

from typing import Any, cast

import pytest
import torch

from stages.lib.io.cli import UserError
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from tests import tiny


def test_all_token_forms_of_a_word_are_found():
    tokenizer = tiny.chatml_tokenizer()
    answers = readout.answers(tokenizer, ReadoutConfig(("true", "True"), ("false", "False")))
    assert {str(tokenizer.decode([i])) for i in answers.true_ids} == {
        "true",
        " true",
        "True",
        " True",
    }
    assert {str(tokenizer.decode([i])) for i in answers.false_ids} == {
        "false", " false", "False", " False",
    }  # fmt: skip
    less = readout.answers(tokenizer, ReadoutConfig(("true",), ("false",)))
    assert set(less.true_ids) < set(answers.true_ids)


class Model:
    """What `answers_of` sees of a model; counts how often its tokenizer is asked for."""

    def __init__(self, identity: str) -> None:
        self.identity, self.asked = identity, 0

    @property
    def tokenizer(self):
        self.asked += 1
        return tiny.chatml_tokenizer()


def test_answer_tokens_are_remembered_of_the_same_model_words_and_code(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words = ReadoutConfig(("true", "TRUE"), ("false",))
    expected = readout.answers(tiny.chatml_tokenizer(), words)

    def asked(identity="a", words=words):
        model = Model(identity)
        if words.true_words[1:]:
            assert readout.answers_of(cast(Any, model), words) == expected
        else:
            assert readout.answers_of(cast(Any, model), words) != expected
        return model.asked

    assert [asked(), asked()] == [1, 0]
    assert [asked(identity="b"), asked(identity="b")] == [1, 0]
    assert asked(words=ReadoutConfig(("true",), ("false",))) == 1
    assert [asked(identity=""), asked(identity="")] == [1, 1]
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "other.py").write_text("")
    monkeypatch.setattr(readout, "CODE", tmp_path / "code")
    assert asked() == 1
    monkeypatch.setattr(readout, "version", lambda package: f"{package} of tomorrow")
    assert [asked(), asked()] == [1, 0]


def test_a_word_without_a_token_is_refused_again_and_not_remembered(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for _ in range(2):
        with pytest.raises(UserError, match=r"no single token .* 'untrue'"):
            readout.answers_of(cast(Any, Model("a")), ReadoutConfig(("true",), ("untrue",)))


def test_a_word_without_a_token_of_its_own_is_refused():
    with pytest.raises(UserError, match=r"readout.false_words: no single token .* 'untrue'"):
        readout.answers(tiny.chatml_tokenizer(), ReadoutConfig(("true",), ("untrue",)))


def test_every_word_that_has_no_token_is_named_and_none_is_dropped():
    for words in (("true", "dishonestly"), ("dishonestly", "true"), ("<|im_end|>", "true")):
        lost = next(word for word in words if word != "true")
        config = ReadoutConfig(words, ("false",))
        with pytest.raises(UserError, match="readout.true_words: no single token") as error:
            readout.answers(tiny.chatml_tokenizer(), config)
        assert repr(lost) in str(error.value)
        assert "'true'" not in str(error.value)
    config = ReadoutConfig(("true",), ("untrue", "false", "a lie"))
    with pytest.raises(UserError, match="false_words: no single token .* 'untrue', 'a lie'; exp"):
        readout.answers(tiny.chatml_tokenizer(), config)


def test_another_case_of_a_word_may_be_no_token_and_is_named():
    tokenizer = tiny.chatml_tokenizer()
    some = readout.answers(tokenizer, ReadoutConfig(("true", "TRUE"), ("FALSE", "false")))
    assert some.missing == ("TRUE", "FALSE")
    every = readout.answers(tokenizer, ReadoutConfig(("true",), ("false",)))
    assert (every.missing, every.true_ids) == ((), some.true_ids)
    with pytest.raises(UserError, match="no single token of this model is 'TRUE'"):
        readout.answers(tokenizer, ReadoutConfig(("TRUE",), ("false",)))


@pytest.mark.parametrize(
    ("true", "false", "message"),
    [
        ([], ["false"], "readout.true_words: found no word, expected at least one"),
        (["true"], [], "readout.false_words: found no word"),
        (["true", ""], ["false"], "readout.true_words: found '', expected a word"),
        (["true"], ["\n"], "readout.false_words: found '\\\\n', expected a word"),
        (["true"], ["\xa0"], r"found '\\xa0', expected a word"),
        ([" true"], ["false"], "true_words: found ' true', expected 'true': the tokens of a word"),
        (["true"], ["false\t"], r"false_words: found 'false\\t', expected 'false'"),
        (["true", "True", "true"], ["false"], "true_words: 'true' is listed more than once"),
        (["vrai"], ["caf\xe9", "cafe\u0301"], "false_words: 'caf\xe9' is listed more than once"),
        (["true"], ["false", "true"], "readout: 'true' is both true and false, expected it in"),
        (["caf\xe9"], ["cafe\u0301"], "readout: 'caf\xe9' is both true and false"),
    ],
)
def test_lists_of_words_that_make_no_sense_are_refused_before_a_model_is_there(
    true, false, message
):
    with pytest.raises(UserError, match=message) as error:
        ReadoutConfig(tuple(true), tuple(false))
    assert "\n" not in str(error.value)


def test_an_accent_may_be_written_in_either_way():
    tokenizer = tiny.sentencepiece_tokenizer(["caf\xe9", "the\u0301", "e"], prepend=False)
    for accent in ("\xe9", "e\u0301"):
        config = ReadoutConfig((f"caf{accent}",), (f"th{accent}",))
        result = readout.answers(tokenizer, config)
        assert tokenizer.convert_ids_to_tokens([*result.true_ids, *result.false_ids]) == [
            "caf\xe9", "the\u0301",
        ]  # fmt: skip


@pytest.mark.parametrize("first", [True, False])
def test_a_word_that_is_a_token_only_after_a_blank_is_found(first):
    """As with SentencePiece, where a blank is ▁ and most words begin with one."""
    words = ["▁true", "▁false", "▁真", "▁偽", "▁", "t"]
    tokenizer = tiny.sentencepiece_tokenizer(words, prepend=first)
    result = readout.answers(tokenizer, ReadoutConfig(("true", "真"), ("false", "偽")))
    tokens = tokenizer.convert_ids_to_tokens([*result.true_ids, *result.false_ids])
    assert tokens == ["▁true", "▁真", "▁false", "▁偽"]
    with pytest.raises(UserError, match="no single token of this model is 'tru'"):
        readout.answers(tokenizer, ReadoutConfig(("true", "tru"), ("false",)))


def test_probabilities_are_softmax_sums_in_float32():
    logits = torch.tensor([[0.0, 1.0, 2.0, 3.0], [50.0, -50.0, 0.0, 0.0]], dtype=torch.bfloat16)
    p = readout.probabilities(logits, readout.Answers((1, 3), (0,)))
    e = torch.tensor([0.0, 1.0, 2.0, 3.0]).exp()
    torch.testing.assert_close(p[0], torch.stack([e[1] + e[3], e[0]]) / e.sum())
    assert p.dtype == torch.float32
    assert p[1, 1] == pytest.approx(1.0)
    assert (p.sum(-1) <= 1 + 1e-6).all()


def test_words_beyond_ascii_are_found():
    tokenizer = tiny.chatml_tokenizer()
    tokenizer.add_tokens(["真", "偽"])
    answers = readout.answers(tokenizer, ReadoutConfig(("真",), ("偽",)))
    assert [tokenizer.decode(list(ids)) for ids in (answers.true_ids, answers.false_ids)] == [
        "真",
        "偽",
    ]
