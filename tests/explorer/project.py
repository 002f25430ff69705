"""The tables that stage `explorer` reads, with numbers by hand, and the page that it makes of them."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from ruamel.yaml import YAML

from stages.explorer import __main__ as explorer
from stages.explorer import trace_maps
from stages.lib import inspection
from stages.lib.inspection import Inspection
from stages.lib.io import records, tables
from stages.lib.patching import head_effects
from stages.lib.patching.head_set import HeadSet, Persona
from stages.lib.patching.patch import Head
from stages.trace.schema import RUNS
from tests import tiny

PERSONAS = ("neutral", "honest", "liar")
POSITIONS = 20
LAYERS, HEADS, SET = 6, 3, [[4, 1], [5, 2]]
WRITER = [2, 0]  # not in the set; of a cell that matters
BLOCKS = trace_maps.blocks(POSITIONS)
QUESTION = 'Is it so? "{statement}"'
PROMPT = {"question": QUESTION} | {
    f"{name}_{end}": text
    for name in PERSONAS
    for end, text in (("system", f"You are {name}."), ("prefix", "It is"))
}


def statements(n: int) -> list[str]:
    """Texts of some statements, in two topics."""
    return [f"{'Paris' if i % 2 else 'Iron'} is number {i}." for i in range(n)]


def write(folder: Path, texts: list[str], traced: int = 2, measured: int = 0) -> None:
    """Write all of them; the liar lies, and the patch undoes it, but for every fifth statement.

    The first `measured` statements are of the selection split; of the set's second head the
    estimate has the wrong sign.
    """
    n = len(texts)
    ids, label = [f"s{i:03}" for i in range(n)], [i % 3 != 0 for i in range(n)]
    tokenizer = tiny.chatml_tokenizer()
    prompts = {name: [_prompt(name, text) for text in texts] for name in PERSONAS}
    tokens = {name: tokenizer(prompts[name])["input_ids"] for name in PERSONAS}
    for name in PERSONAS:
        own = {
            "statement_id": ids,
            "persona": name,
            "text": prompts[name],
            "token_ids": tokens[name],
        }
        table = pl.DataFrame(own | {"prefix_ids": [[]] * n, "n_tokens": 1}, strict=False)
        tables.write(
            folder / f"data/prompts/{name}.parquet", table, tables.PROMPTS, ["statement_id"]
        )
        right = [(name != "liar" or i % 5 == 0) for i in range(n)]
        p = [0.9 if yes == good else 0.05 for yes, good in zip(label, right, strict=True)]
        own = {
            "statement_id": ids,
            "p_true": p,
            "p_false": [0.95 - x for x in p],
            "answer_mass": 0.95,
        }
        file = folder / f"data/readouts/{name}.parquet"
        tables.write(file, pl.DataFrame(own), tables.READOUTS, ["statement_id"])
    pairs = pl.DataFrame(
        {
            "statement_id": ids,
            "topic": ["cities" if i % 2 else "elements" for i in range(n)],
            "statement": texts,
            "label": label,
            "subject": ids,
            "split": ["selection" if i < measured else "report" for i in range(n)],
            "origin": "built-in",
            "known": [i % 4 != 0 for i in range(n)],
            "source_text": prompts["honest"],
            "base_text": prompts["liar"],
            "source_ids": tokens["honest"],
            "base_ids": tokens["liar"],
            "source_prefix_ids": [[]] * n,
            "base_prefix_ids": [[]] * n,
        },
        strict=False,
    )
    tables.write(folder / "data/pairs.parquet", pairs, tables.PAIRS, ["statement_id"])
    inspection.write(folder / "data/inspection.safetensors", _looked(ids, label, tokens))
    head_set(folder / "data/heads.json", SET)
    rows = [
        (one, layer, head, 0.5, (layer + head / 10) * (-1 if [layer, head] == SET[1] else 1))
        for one, layer, head in itertools.product(ids[:measured], range(LAYERS), range(HEADS))
    ]
    effects = pl.DataFrame(rows, head_effects.EFFECTS, orient="row")
    key = ["statement_id", "layer", "head"]
    tables.write(folder / "data/attribution.parquet", effects, head_effects.EFFECTS, key)
    if traced:
        trace(folder / "data/trace/runs.parquet", ids[:traced])
    params = {"patch": {"source": "honest", "base": "liar", "positions": POSITIONS, "site": "z"}}
    with (folder / "params.yaml").open("w") as stream:
        YAML().dump(params | {"personas": list(PERSONAS), "prompt": PROMPT}, stream)


def head_set(file: Path, heads: list[list[int]]) -> None:
    """Write a head set, as stage `heads` does."""
    who = Persona("honest", PROMPT["honest_system"], "It is")
    chosen = HeadSet(
        heads=[Head(*head) for head in heads],
        chosen_by="greedy",
        window=None,
        model="tiny",
        question=QUESTION,
        source=who,
        base=replace(who, persona="liar", system=PROMPT["liar_system"]),
        split="selection",
        topics=[],
        n_statements=0,
        positions=POSITIONS,
    )
    records.write(file, chosen)


def trace(file: Path, ids: list[str]) -> None:
    """Write runs patched at one layer and block; layer 4 at the last token turns the answer."""
    places = [(None, None, None)]
    places += list(itertools.product(range(LAYERS), [None], BLOCKS))
    places += [(layer, head, "all") for layer, head in [*SET, [0, 0]]]
    places += [(*WRITER, "user turn")]
    rows = []
    for one, (of, into) in itertools.product(ids, (("honest", "liar"), ("liar", "honest"))):
        for layer, head, block in places:
            p = 0.9 if (into == "honest") != ((layer, block) == (4, "last token")) else 0.1
            run = (into if layer is None else of, into, f"{layer} {block} {head}")
            rows.append((one, *run, p, 1 - p, 1.0, layer, block, head))
    table = pl.DataFrame(rows, RUNS, orient="row")
    tables.write(file, table, RUNS, ["statement_id", "base", "patch_id"])


def page(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run the stage in a folder that `write` has filled, and read its page."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(explorer.lm, "load_tokenizer", lambda _: tiny.chatml_tokenizer())
    data = Path("data")
    out = Path("plots/explorer.html")
    explorer.main(
        pairs=data / "pairs.parquet",
        prompts=data / "prompts",
        readouts=data / "readouts",
        model=data / "model",
        runs=data / "inspection.safetensors",
        heads=data / "heads.json",
        attribution_patching=data / "attribution.parquet",
        trace=data / "trace/runs.parquet",
        out=out,
    )
    return out.read_text(encoding="utf-8")


def _prompt(name: str, text: str) -> str:
    """As the chat template renders it."""
    turns = [("system", PROMPT[f"{name}_system"]), ("user", QUESTION.format(statement=text))]
    said = "".join(f"<|im_start|>{role}\n{what}<|im_end|>\n" for role, what in turns)
    return f"{said}<|im_start|>assistant\nIt is"


def _looked(ids: list[str], label: list[bool], tokens: dict[str, list[list[int]]]) -> Inspection:
    """Runs: honest is right, the liar is not from layer 4 on, and the patch turns it back."""
    n = len(ids)
    sign = np.where(label, 1.0, -1.0)
    odds = np.ones((3, n, LAYERS + 1)) * 2.0
    odds[1, :, 5:] = np.where(np.arange(n) % 5 == 0, 2.0, -2.0)[:, None]
    odds = odds * sign[:, None]
    lens = np.stack([-np.logaddexp(0, -odds), -np.logaddexp(0, odds)], axis=-1)
    longest = max(len(row) for name in ("honest", "liar") for row in tokens[name])
    heads = [WRITER, *SET]
    last = np.zeros((2, n, len(heads), longest))
    last[:, :, 0, 2], last[:, :, 1, 3], last[:, :, 1, 5], last[:, :, 2, 0] = 1.0, 0.75, 0.25, 1.0
    prefix = np.tile(np.eye(60), (2, len(heads), 1, 1))
    prefix[:, 0] = np.eye(60)[1]  # the writer attends to token 1 from all tokens
    effects = sign[:, None, None] * np.arange(LAYERS * HEADS).reshape(LAYERS, HEADS) / 10
    return Inspection(ids, heads, lens[:, :, -1], lens, effects, last, prefix, {})
