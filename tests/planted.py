"""Statements about letters in both personas, to be patched in tiny models whose heads we know."""

import numpy as np
import polars as pl
import torch
from transformers import LlamaForCausalLM

from stages.lib import chat
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching import patch
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs
from tests import tiny

CONFIG = PatchConfig("honest", "liar", positions=20)
WORDS = ReadoutConfig(("true", "True"), ("false", "False"))
SYSTEMS = {"honest": "You are H.", "liar": "You are so L."}
QUESTION, PREFIX = "{statement}?", "it is"


def statement(label: bool, i: int) -> str:
    """A statement that holds T if it is true and F if it is false."""
    return f"{'T' if label else 'F'} is no. {i}"


def pairs(tokenizer, n: int = 12, topics: tuple[str, ...] = ("even", "odd")) -> PromptPairs:
    """So many statements, every second one true, each about its own subject, topic by topic."""
    label = [i % 2 == 0 for i in range(n)]
    table = pl.DataFrame(
        {
            "statement_id": [f"{i:03}" for i in range(n)],
            "topic": [topics[i // 2 % len(topics)] for i in range(n)],
            "label": label,
            "subject": [f"no. {i}" for i in range(n)],
            "split": ["report"] * n,
        },
        schema={"statement_id": pl.String, "topic": pl.String, "label": pl.Boolean}
        | {"subject": pl.String, "split": pl.String},
    )
    prompts = [
        [
            chat.encode(
                tokenizer, chat.render(tokenizer, system, QUESTION, PREFIX, statement(p_correct, i))
            )
            for i, p_correct in enumerate(label)
        ]
        for system in SYSTEMS.values()
    ]
    return PromptPairs(table, prompts[0], prompts[1])


def experiment(model: LlamaForCausalLM, result: PromptPairs | None = None) -> Experiment:
    """An experiment on a tiny model."""
    lm = tiny.wrap(model)
    answers = readout.answers(lm.tokenizer, WORDS)
    return Experiment(CONFIG, result or pairs(lm.tokenizer), lm, answers)


def verdict_model() -> LlamaForCausalLM:
    """Make a planted model whose head (3, 1) carries the answer and not the persona.

    Layers 0 to 2 are those of `tiny.planted_model`: p_correct times persona, at every position that
    stands behind both. There the answer is not read: head (3, 1) averages it over all positions,
    and what it writes is what is said.
    """
    model = tiny.planted_model()
    state = model.state_dict()
    constant, verdict, answer = 0, 3, 6
    attention = "model.layers.3.self_attn"
    row = 1 * 16  # the head's first dimension
    state[f"{attention}.v_proj.weight"][row, verdict] = 1.0
    state[f"{attention}.o_proj.weight"][answer, row] = 1000.0
    vocabulary = tiny.chatml_tokenizer().get_vocab()
    head = state["lm_head.weight"]
    for word, sign in (("true", 1), ("Ġtrue", 1), ("false", -1), ("Ġfalse", -1)):
        head[vocabulary[word]] = torch.zeros_like(head[vocabulary[word]])
        head[vocabulary[word], answer] = sign * 1.5
        head[vocabulary[word], constant] = 8.0
    model.load_state_dict(state)
    return model


def accuracy(probabilities: np.ndarray, label: np.ndarray) -> float:
    """Share of right answers."""
    return float(patch.correct(probabilities, label).mean())
