"""A prompt that is longer than the model can read is refused, and none that is not."""

import json
from pathlib import Path

import polars as pl
import pytest
import torch
from transformers import (
    AutoConfig,
    BloomConfig,
    FalconConfig,
    Gemma3Config,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    MptConfig,
)

from stages import prompts as stage
from stages.lib.chat import context
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.model import lm
from tests import tiny

LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "original_max_position_embeddings": 8192}
LLAMA3 |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0}
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64}


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (GPT2Config(n_positions=96), (96, "n_positions")),
        (LlamaConfig(max_position_embeddings=96), (96, "max_position_embeddings")),
        (FalconConfig(max_position_embeddings=96), (96, "max_position_embeddings")),
        (MptConfig(max_seq_len=96), (96, "max_seq_len")),
        (FalconConfig(alibi=True), None),
        (BloomConfig(), None),
        (LlamaConfig(max_position_embeddings=64, rope_parameters=YARN), (256, "max_position_embeddings")),
        (LlamaConfig(max_position_embeddings=300, rope_parameters=YARN), (300, "max_position_embeddings")),
        (
            LlamaConfig(max_position_embeddings=96, rope_parameters={"rope_type": "linear", "factor": 2.0}),
            (192, "max_position_embeddings"),
        ),
        (
            LlamaConfig(max_position_embeddings=131072, rope_parameters=LLAMA3),
            (131072, "max_position_embeddings"),
        ),
    ],
)  # fmt: skip
def test_the_limit_is_that_of_the_configuration(config, expected, tmp_path):
    assert context.limit(config) == expected
    config.save_pretrained(tmp_path)  # as a folder has it
    assert context.limit(AutoConfig.from_pretrained(tmp_path)) == expected
    if expected:
        assert expected[1] in json.loads((tmp_path / "config.json").read_text())


def test_a_limit_inside_a_configuration_of_text_and_layers_of_two_kinds_is_found():
    config = Gemma3Config()
    config.get_text_config().max_position_embeddings = 96
    result = context.limit(config)
    assert result is not None
    assert result[0] >= 96
    assert result[1] == "max_position_embeddings"


def test_as_long_as_the_limit_passes_and_one_more_is_named():
    config = GPT2Config(n_positions=1024)
    context.refuse_long_prompts(config, [("a", [1] * 1024), ("b", [])])
    with pytest.raises(UserError) as error:
        context.refuse_long_prompts(config, [("a", [1]), ("data/raw/x.csv, row 8", [1] * 1203)])
    assert str(error.value) == (
        "data/raw/x.csv, row 8: the prompt has 1,203 tokens, but this model reads at most 1,024 "
        "(config.json: n_positions)"
    )
    context.refuse_long_prompts(BloomConfig(), [("a", [1] * 10**5)])


def test_the_limit_is_where_absolute_positions_end():
    model = GPT2LMHeadModel(GPT2Config(n_positions=8, n_embd=8, n_layer=1, n_head=1, vocab_size=9))
    result = context.limit(model.config)
    assert result is not None
    most, _ = result
    model(torch.ones(1, most, dtype=torch.long))
    with pytest.raises((IndexError, RuntimeError)):
        model(torch.ones(1, most + 1, dtype=torch.long))


@pytest.mark.parametrize(
    "config",
    [GPT2Config(n_positions=80), LlamaConfig(max_position_embeddings=80)],
    ids=["absolute", "rotary"],
)
def test_stage_prompts_names_the_row(config, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(lm, "load_config", lambda folder: config)
    monkeypatch.setattr(lm, "load_tokenizer", lambda folder: tiny.chatml_tokenizer())
    prompt = {"question": "{statement}", "liar_system": "", "liar_prefix": "it is"}
    Path("params.yaml").write_text(json.dumps({"personas": ["liar"], "prompt": prompt}))

    def run(*texts):
        rows = [
            {"statement_id": str(i), "topic": "a", "statement": text, "label": True}
            | {"subject": "", "object": "", "template": "", "split": "report"}
            | {"origin": "built-in" if i else "data/raw/x.csv, row 8"}
            for i, text in enumerate(texts)
        ]
        table = pl.DataFrame(rows, schema=tables.STATEMENTS)
        tables.write(Path("statements"), table, tables.STATEMENTS, ["statement_id"])
        stage.main("liar", Path("statements"), tmp_path, Path("prompts"))
        return tables.read(Path("prompts"), tables.PROMPTS)["n_tokens"].to_list()

    short, longest = run("a", "a" * 20)
    assert (longest - short, longest <= 80) == (19, True)
    assert run("a", "a" * (81 - short))[1] == 80
    Path("prompts").unlink()
    for texts, origin in (
        (("a" * 90, "a"), "data/raw/x.csv, row 8"),
        (("a", "a" * 90), "statements: statement 1"),
    ):
        with pytest.raises(UserError, match=f"^{origin}: the prompt has [0-9]+ tokens, but this"):
            run(*texts)
        assert not Path("prompts").exists()


@pytest.mark.parametrize("factor", [float("inf"), float("nan")])
def test_a_scaling_that_is_no_number_is_refused(factor):
    config = LlamaConfig(max_position_embeddings=64)
    config.rope_parameters = {"rope_type": "linear", "factor": factor}
    with pytest.raises(UserError, match="rope_parameters.factor: found no finite number"):
        context.limit(config)
