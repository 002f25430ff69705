"""Stage `activations` says so where the answers hold little of the probability, and what does."""

import json
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

from stages.activations import __main__ as stage
from stages.behaviour import knowledge
from stages.lib import chat
from stages.lib.io import tables
from stages.lib.model import lm, readout
from tests import tiny


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run the stage with a model; what it wrote."""

    def run(model, true=("true", "True")):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(lm, "load", lambda folder: tiny.wrap(model))
        params = {
            "activations": {"positions": [-1]},
            "readout": {"true_words": list(true), "false_words": ["false"]},
        }
        (tmp_path / "params.yaml").write_text(json.dumps(params))
        tokenizer, texts = tiny.chatml_tokenizer(), [f"H {i} is {'TF'[i % 2]}" for i in range(6)]
        ids = [chat.encode(tokenizer, text) for text in texts]
        prompts = pl.DataFrame(
            {
                "statement_id": [f"{i:02d}" for i in range(6)],
                "persona": ["liar"] * 6,
                "text": texts,
                "token_ids": ids,
                "prefix_ids": [ids[0][:2]] * 6,
                "n_tokens": list(map(len, ids)),
            }
        )
        tables.write(tmp_path / "prompts", prompts, tables.PROMPTS, ["statement_id"])
        stage.main(tmp_path / "prompts", tmp_path, tmp_path / "out", tmp_path / "readouts")
        return SimpleNamespace(readouts=tmp_path / "readouts", ids=ids, tokenizer=tokenizer)

    return run


def test_answers_that_hold_most_of_the_probability_say_nothing(run, capsys):
    result = run(tiny.planted_model())
    assert capsys.readouterr().out == ""
    assert list(pl.read_parquet_schema(result.readouts)) == list(tables.READOUTS)
    assert tables.read(result.readouts, tables.READOUTS)["answer_mass"].to_numpy().min() > 0.5


def test_answers_that_hold_little_are_said_with_what_comes_first(run, capsys):
    model = tiny.random_model()
    result = run(model)
    rows = tables.read(result.readouts, tables.FIRST_TOKENS)
    expected = []
    for ids in result.ids:
        logits = model(tiny.torch.tensor([ids])).logits[0, -1]
        expected.append(result.tokenizer.decode([int(logits.argmax())]))
    assert rows["first_token"].to_list() == expected
    token, count = readout.most_common(expected)
    mass = float(rows["answer_mass"].to_numpy().mean())
    assert mass < 0.1
    assert capsys.readouterr().out == (
        f"liar: the answers hold {mass:.2g} of the probability on average (n = 6); the most "
        f"probable first token is {token!r} (on {count / 6:.2f} of prompts)\n"
    )


def test_a_word_that_is_no_token_is_said(run, capsys):
    run(tiny.planted_model(), ("true", "TRUE"))
    assert capsys.readouterr().out == (
        "liar: no single token of this model is 'TRUE': not counted\n"
    )


def test_the_threshold_is_that_of_the_mean():
    assert readout.answers_hold_enough(np.array([[0.9, 0.0], [0.0, 0.1]]))
    assert not readout.answers_hold_enough(np.array([[0.9, 0.0], [0.0, 0.09]]))


def test_the_commonest_token_and_the_first_of_equals():
    assert readout.most_common(["b", "a", "b"]) == ("b", 2)
    assert readout.most_common(["b", "a"]) == ("a", 1)
    result = knowledge.first_token(pl.Series(["<think>"] * 3 + ["I"]), pl.Series(list("abcd")))
    assert (result.token, result.value, result.n) == ("<think>", 0.75, 4)
