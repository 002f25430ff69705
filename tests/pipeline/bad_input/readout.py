"""Bad inputs of one kind: words that answer, prompts that are too long, files of ours that changed."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl

from stages.lib import shards
from stages.lib.io import tables
from tests.pipeline.bad_input.case import Case
from tests.pipeline.conftest import Project

PERSONAS = ("neutral", "honest", "liar")
SHARD = "data/activations/honest/00001.safetensors"
INDEX = "data/activations/honest/index.json"
CHANGED = "cut or changed since it was written"


def _words(true: list, false: list) -> Callable[[Project], None]:
    """Set both lists of words."""
    return lambda project: project.set({"readout": {"true_words": true, "false_words": false}})


def _reads(n_tokens: int) -> Callable[[Project], None]:
    """Let the model read so many tokens."""

    def spoil(project: Project) -> None:
        file = project.folder / "models/tiny/config.json"
        config = json.loads(file.read_text()) | {"max_position_embeddings": n_tokens}
        file.write_text(json.dumps(config))

    return spoil


def _same_prompts(project: Project, rows: int) -> None:
    """Write prompts of both personas, the first of them alike."""
    table = _statements(project)
    ids = table["statement_id"].to_list()
    for persona in ("honest", "liar"):
        tokens = [[1, i if i < rows else i + ord(persona[0])] for i in range(len(ids))]
        prompts = table.select("statement_id").with_columns(
            persona=pl.lit(persona),
            text=pl.lit(""),
            token_ids=pl.Series(tokens, dtype=pl.List(pl.UInt32)),
            prefix_ids=pl.lit([1], dtype=pl.List(pl.UInt32)),
            n_tokens=pl.lit(2),
        )
        file = project.folder / f"data/prompts/{persona}.parquet"
        tables.write(file, prompts, tables.PROMPTS, ["statement_id"])
    _known(project)


def _activations(project: Project) -> None:
    """Write activations of every persona, two shards each."""
    ids = _statements(project)["statement_id"].to_list()
    provenance = {"statement_ids": ids, "positions": [-1], "n_layers": 1, "n_heads": 1}
    for persona in PERSONAS:
        with shards.writer(project.folder / "data/activations" / persona, provenance) as writer:
            for n in (10, len(ids) - 10):
                writer.append({"z": np.ones((n, 1, 1, 1, 2), np.float32)})
    _known(project)


def _changed(name: str, change: Callable[[bytes], bytes | None]) -> Callable[[Project], None]:
    """Change a file of the activations in place, or take it away."""

    def spoil(project: Project) -> None:
        _activations(project)
        _replace(project.folder / name, change)

    return spoil


def _cut_readouts(project: Project) -> None:
    """Write readouts, one of them cut."""
    rows = _statements(project).select("statement_id")
    rows = rows.with_columns(p_true=pl.lit(0.6), p_false=pl.lit(0.3), answer_mass=pl.lit(0.9))
    for persona in PERSONAS:
        file = project.folder / f"data/readouts/{persona}.parquet"
        tables.write(file, rows, tables.READOUTS, ["statement_id"])
    _replace(project.folder / "data/readouts/liar.parquet", lambda data: data[: len(data) // 2])


def _replace(file: Path, change: Callable[[bytes], bytes | None]) -> None:
    """Write what a change makes of a file's content."""
    data = change(file.read_bytes())
    file.unlink() if data is None else file.write_bytes(data)


def _flip(data: bytes) -> bytes:
    """Change one bit."""
    return data[:-1] + bytes([data[-1] ^ 1])


def _without(data: bytes, key: str) -> bytes:
    """Take a key out of the index."""
    return json.dumps({k: v for k, v in json.loads(data).items() if k != key}).encode()


def _statements(project: Project) -> pl.DataFrame:
    """The project's statements."""
    return tables.read(project.folder / "data/statements.parquet", tables.STATEMENTS)


def _known(project: Project) -> None:
    """Let the model know every statement."""
    known = _statements(project).select("statement_id", known=pl.lit(True))
    tables.write(project.folder / "data/known.parquet", known, tables.KNOWN, ["statement_id"])


CASES: list[Case] = [
    Case("no true word", "activations", _words([], ["false"]),
         "params.yaml: readout.true_words: found [], expected at least 1"),
    Case("no false word", "activations", _words(["true"], []),
         "params.yaml: readout.false_words: found [], expected at least 1"),
    Case("an empty word", "activations", _words(["true"], ["false", ""]),
         "params.yaml: readout.false_words[1]: found '', expected a text that is not blank"),
    Case("a word of blanks", "activations", _words([" \n"], ["false"]),
         r"params.yaml: readout.true_words[0]: found ' \n', expected a text that is not blank"),
    Case("a word with a blank before it", "activations", _words([" true"], ["false"]),
         "params.yaml: readout.true_words: found ' true', expected 'true'"),
    Case("a word twice", "activations", _words(["true"], ["false", "False", "false"]),
         "params.yaml: readout.false_words: found ['false', 'False', 'false'], expected different values"),
    Case("a word on both sides", "activations", _words(["true"], ["false", "true"]),
         "params.yaml: readout: 'true' is both true and false"),
    Case("a word that is no text", "activations", _words(["true", True], ["false"]),
         "params.yaml: readout.true_words[1]: expected str, found True"),
    Case("one of two words is no token", "activations", _words(["true", "dishonestly"], ["false"]),
         "params.yaml: readout.true_words: no single token of this model is 'dishonestly'",
         before=("prompts",)),
    Case("a word beyond ASCII is no token", "activations", _words(["true"], ["false", "偽"]),
         "params.yaml: readout.false_words: no single token of this model is '偽'",
         before=("prompts",)),
    Case("prompts beyond the model's context", "prompts", _reads(60),
         " tokens, but this model reads at most 60 (config.json: max_position_embeddings)",
         before=("model",)),
    Case("prompts of the grid beyond the model's context", "wordings", _reads(60),
         " tokens, but this model reads at most 60 (config.json: max_position_embeddings)",
         before=("model",)),
    Case("source and base with the same prompts", "pairs", partial(_same_prompts, rows=80),
         "data/prompts/honest.parquet and data/prompts/liar.parquet: the same token ids in 80 of "
         "80 rows, expected two personas whose prompts differ; their wordings do not reach the prompt"),
    Case("source and base with one prompt alike", "pairs", partial(_same_prompts, rows=1),
         "data/prompts/honest.parquet and data/prompts/liar.parquet: the same token ids in 1 of "
         "80 rows"),
    Case("a shard with one bit changed", "probes", _changed(SHARD, _flip),
         f"{SHARD}: {CHANGED} (its sha256 is "),
    Case("a shard that is cut", "probes", _changed(SHARD, lambda data: data[:-4]),
         f"{SHARD}: {CHANGED} (its sha256 is "),
    Case("an empty shard", "probes", _changed(SHARD, lambda data: b""),
         f"{SHARD}: {CHANGED} (its sha256 is "),
    Case("a shard that is missing", "probes", _changed(SHARD, lambda data: None),
         f"{SHARD}: {CHANGED} (no such file)"),
    Case("an index that is cut", "probes", _changed(INDEX, lambda data: data[:-9]),
         f"{INDEX}: {CHANGED} ("),
    Case("an index without shards", "probes", _changed(INDEX, partial(_without, key="shards")),
         f"{INDEX}: {CHANGED} (shards: found nothing, expected list)"),
    Case("an index without its statements", "probes",
         _changed(INDEX, partial(_without, key="statement_ids")),
         f"{INDEX}: {CHANGED} (statement_ids: found nothing, expected list)"),
    Case("an index that is missing", "probes", _changed(INDEX, lambda data: None),
         f"{INDEX}: no such file; run `dvc repro` to make it"),
    Case("a table that is cut", "behaviour", _cut_readouts,
         f"data/readouts/liar.parquet: {CHANGED} ("),
]  # fmt: skip
