"""Statements in two wordings of different lengths, with their positions paired block by block."""

import polars as pl

from stages.lib import chat
from stages.lib.io import tables
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching import blocks
from stages.lib.patching.blocks import PersonaWording
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs
from tests import tiny

WORDS = ReadoutConfig(("true", "True"), ("false", "False"))
CONFIG = PatchConfig(source="honest", base="liar", positions=12)
LABEL = [True, False] * 4
QUESTION = "{statement}?"


def experiment(model, base, source, statements=None):
    """Statements in both wordings, with their pairs of positions."""
    wrapped = tiny.wrap(model)
    told = statements or [f"{'T' if x else 'F'} is no{'.' * i} {i}" for i, x in enumerate(LABEL)]
    ids, cuts, names = [], [], []
    for wording in (base, source):
        texts = [
            chat.render(wrapped.tokenizer, wording.system, QUESTION, wording.prefix, s)
            for s in told
        ]
        ids.append([chat.encode(wrapped.tokenizer, text) for text in texts])
        cuts.append([])
        for text, tokens, s in zip(texts, ids[-1], told, strict=True):
            names, starts = zip(*blocks.segments(text, wording, s), strict=True)
            cuts[-1].append(blocks.of_tokens(wrapped.tokenizer.decode, tokens, text, list(starts)))
    counterparts = [
        blocks.align(a, b, list(names), [x, y]) for a, b, x, y in zip(*ids, *cuts, strict=True)
    ]
    n = len(told)
    table = pl.DataFrame(
        {
            "statement_id": [f"{i:02d}" for i in range(n)],
            "topic": ["a"] * n,
            "label": [s[0] == "T" for s in told],
            "subject": [f"s{i}" for i in range(n)],
            "split": ["report"] * n,
        },
        schema={
            name: tables.STATEMENTS[name]
            for name in ("statement_id", "topic", "label", "subject", "split")
        },
    )
    answers = readout.answers(wrapped.tokenizer, WORDS)
    return Experiment(CONFIG, PromptPairs(table, ids[1], ids[0]), wrapped, answers), counterparts


def planted(prefix="it is"):
    base, source = (PersonaWording(f"You are {x}.", QUESTION, prefix) for x in ("so L", "H"))
    return experiment(tiny.planted_model(), base, source)
