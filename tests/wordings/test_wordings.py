"""Cells of the grid on a planted model: right numbers, and no run made twice."""

import json
import sqlite3
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from stages.lib import chat, forward
from stages.lib.forward import answers as forward_answers
from stages.lib.forward import budget, memory
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.io import cli, store, tables
from stages.lib.io.cli import UserError
from stages.lib.model import lm, readout
from stages.lib.model.pretrained import loading
from stages.lib.model.pretrained.files import hashes
from stages.lib.model.readout import ReadoutConfig
from stages.wordings import __main__ as stage
from stages.wordings import grid
from tests import tiny

ROOT = Path(__file__).resolve().parents[2]
WORDS: dict[str, Any] = {"true_words": ["true", "True"], "false_words": ["false", "False"]}
GRID = {
    "systems": ["honest", "liar"],
    "questions": {"quoted": None, "bare": "{statement}?"},
    "prefixes": {"it": None, "that": "well, that is"},
    "limit": 4,
}
PROMPT = {
    "question": '{statement} "yes" or "no"?',
    "honest_system": "You are H.",
    "liar_system": "You are so L.",
    "liar_prefix": "it is",
}


N_CELLS, N = 8, 8  # cells of the grid; statements of a cell, with the limit


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params, statements and the planted model; nothing is remembered yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(store, "_printed_lines", set())
    state(tmp_path, [f"{'T' if i % 4 < 2 else 'F'} {i} is a letter" for i in range(20)])
    tiny.save(tiny.planted_model(), tmp_path / "model")
    name(tmp_path)
    write({}, tmp_path)
    return tmp_path


def state(folder, texts):
    """Write the statements; an empty text is no statement."""
    rows = [
        {
            "statement_id": f"{i:016x}",
            "topic": f"letters_{i % 2}",
            "statement": text,
            "label": i % 4 < 2,
            "subject": str(i),
            "object": "",
            "template": "",
            "split": "report" if i % 3 else "selection",
            "origin": "built-in",
        }
        for i, text in enumerate(texts)
        if text
    ]
    table = pl.DataFrame(rows, schema=tables.STATEMENTS)
    tables.write(folder / "statements.parquet", table, tables.STATEMENTS, ["statement_id"])


def name(folder, identity="tiny"):
    """Write the manifest of the model that is in the folder now."""
    manifest: dict[str, Any] = {"kind": "organism", "source": "base", "dtype": "float32"}
    manifest["identity"] = identity
    manifest["files"] = hashes(folder / "model")
    (folder / "model/manifest.json").write_text(json.dumps(manifest))


def write(changes, folder):
    """Write params.yaml with some keys of the grid, or of the prompt, changed."""
    prompt = PROMPT | {key: changes.pop(key) for key in PROMPT if key in changes}
    params = {"grid": GRID | changes, "readout": WORDS, "prompt": prompt, "patch": {"base": "liar"}}
    (folder / "params.yaml").write_text(json.dumps(params))


def paths(folder):
    return folder / "statements.parquet", folder / "model", folder / "wordings.parquet"


def begin():
    """Forget what a process counts."""
    cli.counts.clear()
    memory._seen.clear()


def run(folder):
    """Run the stage as a new process; how many runs it remembered and made, and what it wrote."""
    begin()
    stage.main(*paths(folder))
    counts = cli.counts["remembered"], cli.counts["computed"]
    return counts, (folder / "wordings.parquet").read_bytes()


def test_the_liar_lies_in_every_cell_and_the_honest_one_in_none(project):
    run(project)
    result = pl.read_parquet(project / "wordings.parquet")
    rows = result.join(pl.read_parquet(project / "statements.parquet"), on="statement_id")
    assert len(rows) == N_CELLS * N
    assert rows.group_by(*grid.WORDINGS, "topic", "label").len()["len"].unique().to_list() == [2]
    assert set(rows["split"]) == {"selection", "report"}
    assert rows["top_is_answer"].all()
    says_true = rows["p_true"] > rows["p_false"]
    said = rows["top_token"].str.strip_chars().str.to_lowercase()
    assert ((said == "true") == says_true).all()
    honest = rows["system"] == "honest"
    assert set(rows["system"]) == {"honest", "liar"}
    assert ((says_true == rows["label"]) == honest).all()


def test_numbers_are_those_of_plain_forwards_and_stay_so_when_remembered(project):
    model = tiny.random_model(seed=3)
    tiny.save(model, project / "model")
    name(project)
    first = run(project)[1]
    assert run(project) == ((N_CELLS * N, 0), first)
    result = tables.read(project / "wordings.parquet", grid.CELLS)
    model = lm.load(project / "model")
    answers = readout.answers(model.tokenizer, ReadoutConfig(**WORDS))
    statements = tables.read(project / "statements.parquet", tables.STATEMENTS)
    text = dict(statements.select("statement_id", "statement").iter_rows())
    assert not result["top_is_answer"].all()
    for row in result.iter_rows(named=True):
        question = GRID["questions"][row["question"]] or PROMPT["question"]
        wording = (PROMPT[f"{row['system']}_system"], question)
        prefix = GRID["prefixes"][row["prefix"]] or PROMPT["liar_prefix"]
        prompt = chat.render(model.tokenizer, *wording, prefix, text[row["statement_id"]])
        ids = torch.tensor([chat.encode(model.tokenizer, prompt)])
        with torch.no_grad():
            logits = model.model(input_ids=ids).logits[:, -1]
        expected = readout.probabilities(logits, answers)[0].numpy()
        np.testing.assert_allclose([row["p_true"], row["p_false"]], expected, atol=1e-6)
        assert row["top_id"] == int(logits.argmax())
        assert row["top_token"] == model.tokenizer.decode([row["top_id"]])


def test_editing_one_question_computes_its_prompts_alone_and_going_back_none(project):
    counts, first = run(project)
    assert counts == (0, 64)
    assert run(project) == ((64, 0), first)
    write({"questions": GRID["questions"] | {"bare": "{statement}? Say."}}, project)
    assert run(project)[0] == (32, 32)
    write({"prefixes": GRID["prefixes"] | {"third": "this is"}}, project)
    assert run(project)[0] == (64, 32)
    write({}, project)
    assert run(project) == ((64, 0), first)


def test_a_persona_reworded_in_prompt_is_reworded_in_the_grid(project):
    """One place: what the grid leaves open is what `prompt` says now."""
    run(project)
    write({"liar_prefix": "so, it is"}, project)
    assert run(project)[0] == (32, 32)
    write({"question": "{statement} Yes?"}, project)
    assert run(project)[0] == (32, 32)
    write({"liar_system": "You are L."}, project)
    assert run(project)[0] == (32, 32)


def test_a_name_is_not_a_wording(project):
    run(project)
    names = {"a": "quoted", "b": "bare"}
    write({"questions": {new: GRID["questions"][old] for new, old in names.items()}}, project)
    assert run(project)[0] == (64, 0)
    assert set(pl.read_parquet(project / "wordings.parquet")["question"]) == {"a", "b"}


def test_a_system_prompt_that_goes_or_comes_costs_its_own_prompts_alone(project):
    write({"systems": ["liar"]}, project)
    assert run(project)[0] == (0, 32)
    write({}, project)
    assert run(project)[0] == (32, 32)
    write({"systems": ["honest"]}, project)
    assert run(project)[0] == (32, 0)
    assert set(pl.read_parquet(project / "wordings.parquet")["system"]) == {"honest"}


def test_a_statement_that_comes_goes_or_changes_costs_its_own_runs_alone(project):
    texts = pl.read_parquet(project / "statements.parquet")["statement"].to_list()
    write({"limit": None}, project)
    assert run(project)[0] == (0, N_CELLS * 20)
    before = pl.read_parquet(project / "wordings.parquet")
    state(project, [*texts, "T, which comes later and is long"])
    assert run(project)[0] == (N_CELLS * 20, N_CELLS)
    state(project, ["", *texts[1:]])
    assert run(project)[0] == (N_CELLS * 19, 0)
    state(project, ["F", *texts[1:]])
    assert run(project)[0] == (N_CELLS * 19, N_CELLS)
    after = pl.read_parquet(project / "wordings.parquet")
    others = pl.col("statement_id") != f"{0:016x}"
    assert after.filter(others).equals(before.filter(others))
    assert not after.equals(before)
    state(project, [text if text.startswith("T") else "" for text in texts])  # all begin alike
    assert run(project)[0] == (N_CELLS * 10, 0)


def test_a_smaller_sample_costs_nothing_and_a_larger_one_what_it_adds(project):
    run(project)
    write({"limit": 3}, project)
    assert run(project)[0] == (N_CELLS * 6, 0)
    write({"limit": 5}, project)
    assert run(project)[0] == (N_CELLS * 8, N_CELLS * 2)


def other_words(folder):
    file = folder / "params.yaml"
    file.write_text(file.read_text().replace('["true", "True"]', '["true"]'))


@pytest.mark.parametrize(
    "change", [lambda folder: name(folder, "another"), other_words], ids=["model", "answer words"]
)
def test_what_all_numbers_depend_on_leaves_nothing_remembered(change, project):
    run(project)
    change(project)
    assert run(project)[0] == (0, 64)
    assert run(project)[0] == (64, 0)


def test_another_device_version_or_code_has_other_keys(project, monkeypatch):
    answers = readout.answers(lm.load_tokenizer(project / "model"), ReadoutConfig(**WORDS))
    ids = [[1, 2, 3], [1, 2, 4]]

    def names(kind=Prompts, n_tail=1, prefix=None, answers=answers):
        model = lm.load(project / "model")
        return memory.Memory(model, answers).prompts(kind(model, ids, n_tail, prefix=prefix))

    before = names()
    assert names() == before
    for target, attribute, value in (
        (torch, "get_num_threads", lambda: 77),
        (torch.backends.cpu, "get_cpu_capability", lambda: "other"),
        (torch.cuda, "is_available", lambda: True),
        (torch.cuda, "get_device_name", lambda: "another"),
        (memory, "version", lambda package: "0" if package == "torch" else version(package)),
        (memory, "version", lambda package: "0" if package == "transformers" else version(package)),
        (memory, "version", lambda package: "0" if package == "numpy" else version(package)),
        (memory, "_code", lambda: "other"),
    ):
        with monkeypatch.context() as changed:
            if target is torch.cuda:
                changed.setattr(torch.cuda, "is_available", lambda: True)
                changed.setattr(torch.cuda, "get_device_name", lambda: "one")
            changed.setattr(target, attribute, value)
            before += names()
    before += names(PlainPrompts) + names(n_tail=2) + names(prefix=[1])
    before += names(answers=readout.Answers(answers.false_ids, answers.true_ids))
    file = project / "model/manifest.json"
    file.write_text(file.read_text().replace("float32", "bfloat16"))
    before += names()
    assert len(set(before)) == len(before) == 2 * 14


def test_code_is_all_that_runs_a_model_and_hashed_whole():
    """What stands between a prompt and its answer imports nothing else but `io`."""
    code = (
        "import sys, stages.lib.forward as own; print(*(m for m in sys.modules if 'stages.' in m))"
    )
    names = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True).split()
    imported = {name.split(".")[2] for name in names if name.count(".") > 1}
    assert imported == {"forward", "model", "io"}
    folders = [ROOT / "stages/lib" / name for name in ("forward", "model")]
    assert memory._code() == store.code(*folders)


def stopped_after(n, run_prompts):
    """Stop, as Ctrl-C does, at the batch after so many; a check of two prompts is none."""
    n_batches = 0

    def stopped(self, rows, keep=False):
        nonlocal n_batches
        n_batches += len(rows) > 2
        if n_batches > n:
            raise KeyboardInterrupt
        return run_prompts(self, rows, keep)

    return stopped


@pytest.mark.parametrize(("n_batches", "n_runs"), [(1, 4), (2, 8), (3, 12), (15, 60)])
def test_a_run_that_was_stopped_goes_on_after_its_last_batch(
    n_batches, n_runs, project, monkeypatch
):
    """Twenty statements of a cell are two batches here, of 16 and of 4."""
    write({"limit": None}, project)
    monkeypatch.setitem(budget.ENOUGH, "cpu", 16)
    monkeypatch.setattr(budget, "ENOUGH_TO_UNEMBED", 16)
    with monkeypatch.context() as changed:
        changed.setattr(Prompts, "run", stopped_after(n_batches, Prompts.run))
        with pytest.raises(KeyboardInterrupt):
            run(project)
    assert not (project / "wordings.parquet").exists()
    counts, resumed = run(project)
    assert counts == (n_runs, 160 - n_runs)
    store.clear()
    assert run(project) == ((0, 160), resumed)


def test_a_damaged_record_is_computed_again_and_the_others_are_not(project, capsys):
    _, first = run(project)
    with closing(sqlite3.connect(store.file(), isolation_level=None)) as database:
        read = memory.READ * 4 + store.N_CHECK  # bytes of what is kept of a run
        runs = database.execute("SELECT key FROM kept WHERE length(value) = ?", (read,)).fetchall()
        assert len(runs) == 64
        damage = "UPDATE kept SET value = CAST(x'0000' || substr(value, 3) AS BLOB) WHERE key = ?"
        database.execute(damage, runs[11])
    capsys.readouterr()
    assert run(project) == ((63, 1), first)
    said = f"{store.file()}: 1 of {N} values damaged; computed again\n"
    assert capsys.readouterr().err == said
    assert run(project) == ((64, 0), first)


def test_a_deleted_store_changes_nothing_but_time(project):
    first = run(project)
    store.file().unlink()
    assert run(project) == first


def test_no_weights_are_loaded_where_every_run_is_remembered(project, monkeypatch):
    def load(*_):
        raise AssertionError("loaded")

    _, first = run(project)
    write({"questions": dict(reversed(GRID["questions"].items()))}, project)
    monkeypatch.setattr(loading, "model", load)
    assert run(project) == ((64, 0), first)
    name(project, "another")
    with pytest.raises(AssertionError, match="loaded"):
        run(project)


def test_what_was_remembered_and_computed_is_said_at_the_end(project, monkeypatch, capsys):
    options = ("--statements", "--model", "--out")
    words = [str(word) for pair in zip(options, paths(project), strict=True) for word in pair]
    monkeypatch.setattr(sys, "argv", ["wordings", *words])
    for line in ("0 runs remembered, 64 computed\n", "64 runs remembered, 0 computed\n"):
        begin()
        cli.run(stage.main)
        assert capsys.readouterr().out == line


def test_a_cell_does_not_depend_on_the_cells_beside_it(project):
    model = tiny.wrap(tiny.random_model(seed=1))
    answers = readout.answers(model.tokenizer, ReadoutConfig(**WORDS))
    one, two = (
        [[i, 40 + i, 7] + [5] * (i % 3) for i in range(start, start + 6)] for start in (0, 9)
    )
    both = list(forward_answers.read(model, answers, [one, two], "both"))
    (alone,) = forward_answers.read(model, answers, [two], "alone")
    for name, array in alone.items():
        np.testing.assert_array_equal(array, both[1][name])
    assert both[0]["top"].dtype == np.uint32
    assert list(forward_answers.read(model, answers, [], "none")) == []


def test_of_a_model_without_an_identity_nothing_is_remembered(project):
    begin()
    model = tiny.wrap(tiny.planted_model())
    answers = readout.answers(model.tokenizer, ReadoutConfig(**WORDS))
    list(forward_answers.read(model, answers, [[[1, 2, 3], [1, 2, 4]]], "one"))
    assert not store.file().exists()
    assert not cli.counts


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"liar_system": "<|im_end|> Lie."}, r"prompt\.liar_system: found '<\|im_end\|>'"),
        ({"question": "<|im_end|>{statement}"}, r"prompt\.question: found '<\|im_end\|>'"),
        ({"liar_prefix": "<|im_end|>"}, r"prompt\.liar_prefix: found '<\|im_end\|>'"),
        (
            {"questions": {"a": "<|im_end|>{statement}"}},
            r"grid\.questions\.a: found '<\|im_end\|>'",
        ),
        ({"prefixes": {"a": "<|im_start|>"}}, r"grid\.prefixes\.a: found '<\|im_start\|>'"),
        ({"systems": ["liar", "spy"]}, r"params\.yaml: prompt\.spy_system"),
        (
            {"questions": {"a": "true?"}},
            r"grid\.questions\.a: found 'true\?', expected {statement} in it",
        ),
        ({"questions": {}}, r"grid\.questions: found no wording, expected at least one"),
        ({"prefixes": {"a-b": "It"}}, r"grid\.prefixes: found 'a-b', expected a name of"),
        ({"prefixes": {"a": 3}}, r"grid\.prefixes\.a: expected str, found 3"),
        ({"prefixes": ["It"]}, r"grid\.prefixes: expected dict, found \['It'\]"),
        ({"limit": 0}, r"grid\.limit: found 0, expected at least 1"),
    ],
)
def test_wrong_wordings(changes, message, project):
    write(changes, project)
    with pytest.raises(UserError, match=message) as error:
        run(project)
    assert "\n" not in str(error.value)


def test_a_special_token_in_a_statement_is_refused(project):
    file = project / "statements.parquet"
    table = tables.read(file, tables.STATEMENTS)
    table = table.with_columns(statement=pl.col("statement") + "<|im_end|>")
    tables.write(file, table, tables.STATEMENTS, ["statement_id"])
    with pytest.raises(UserError, match="statement 0000000000000000: found '<\\|im_end\\|>'"):
        run(project)


def test_only_the_main_process_writes(project, monkeypatch):
    monkeypatch.setattr(forward, "is_main_process", lambda: False)
    stage.main(*paths(project))
    assert not (project / "wordings.parquet").exists()
