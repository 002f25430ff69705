"""Cells of the grid on a planted model: right numbers, and none computed twice."""

import json
import re
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch

from stages.lib import chat, forward
from stages.lib.forward import answers as forward_answers
from stages.lib.io import params, tables
from stages.lib.io.cli import UserError
from stages.lib.model import lm, readout
from stages.lib.model.pretrained.files import hashes
from stages.lib.model.readout import ReadoutConfig
from stages.wordings import __main__ as stage
from stages.wordings import cells, grid
from stages.wordings.config import GridConfig
from tests import tiny

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


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params, statements and the planted model."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    rows = [
        {
            "statement_id": f"{i:016x}",
            "topic": f"letters_{i % 2}",
            "statement": f"{'T' if i % 4 < 2 else 'F'} {i} is a letter",
            "label": i % 4 < 2,
            "subject": str(i),
            "object": "",
            "template": "",
            "split": "report" if i % 3 else "selection",
            "origin": "built-in",
        }
        for i in range(20)
    ]
    table = pl.DataFrame(rows, schema=tables.STATEMENTS)
    tables.write(tmp_path / "statements.parquet", table, tables.STATEMENTS, ["statement_id"])
    tiny.save(tiny.planted_model(), tmp_path / "model")
    name(tmp_path)
    write({}, tmp_path)
    return tmp_path


def name(folder, identity="tiny"):
    """Write the manifest of the model that is in the folder now."""
    manifest: dict[str, Any] = {"kind": "organism", "identity": identity, "dtype": "float32"}
    manifest["files"] = hashes(folder / "model")
    (folder / "model/manifest.json").write_text(json.dumps(manifest))


def write(changes, folder):
    """Write params.yaml with some keys of the grid, or of the prompt, changed."""
    prompt = PROMPT | {key: changes.pop(key) for key in PROMPT if key in changes}
    params = {"grid": GRID | changes, "readout": WORDS, "prompt": prompt, "patch": {"base": "liar"}}
    (folder / "params.yaml").write_text(json.dumps(params))


def run(folder, capsys, system="liar"):
    """Run the stage; how many cells were kept and computed, what it wrote, and what it warned."""
    out = folder / "out" / f"{system}.parquet"
    stage.main(system, folder / "statements.parquet", folder / "model", out)
    said = capsys.readouterr()
    found = re.fullmatch(rf"grid, {system}: (\d) cells kept, (\d) computed\n", said.out)
    assert found is not None
    counts = tuple(map(int, found.groups()))
    return counts, out.read_bytes(), said.err


def test_the_liar_lies_in_every_cell_and_the_honest_one_in_none(project, capsys):
    for system, right in (("honest", True), ("liar", False)):
        run(project, capsys, system)
        found = pl.read_parquet(project / "out" / f"{system}.parquet")
        assert len(found) == 4 * 8
        statements = pl.read_parquet(project / "statements.parquet")
        rows = found.join(statements, on="statement_id")
        assert (
            rows.group_by("question", "prefix", "topic", "label").len()["len"].unique().item() == 2
        )
        assert set(rows["split"]) == {"selection", "report"}
        assert (((rows["p_true"] > rows["p_false"]) == rows["label"]) == right).all()
        assert rows["top_is_answer"].all()
        said = rows["top_token"].str.strip_chars().str.to_lowercase()
        assert ((said == "true") == (rows["p_true"] > rows["p_false"])).all()


def test_numbers_are_those_of_plain_forwards(project, capsys):
    model = tiny.random_model(seed=3)
    tiny.save(model, project / "model")
    name(project)
    run(project, capsys)
    found = tables.read(project / "out/liar.parquet", grid.CELLS)
    model = lm.load(project / "model")
    answers = readout.answers(model.tokenizer, ReadoutConfig(**WORDS))
    statements = tables.read(project / "statements.parquet", tables.STATEMENTS)
    text = dict(statements.select("statement_id", "statement").iter_rows())
    assert not found["top_is_answer"].all()
    for row in found.iter_rows(named=True):
        question = GRID["questions"][row["question"]] or PROMPT["question"]
        wording = (PROMPT["liar_system"], question)
        prefix = GRID["prefixes"][row["prefix"]] or PROMPT["liar_prefix"]
        prompt = chat.render(model.tokenizer, *wording, prefix, text[row["statement_id"]])
        ids = torch.tensor([chat.encode(model.tokenizer, prompt)])
        with torch.no_grad():
            logits = model.model(input_ids=ids).logits[:, -1]
        expected = readout.probabilities(logits, answers)[0].numpy()
        np.testing.assert_allclose([row["p_true"], row["p_false"]], expected, atol=1e-6)
        assert row["top_id"] == int(logits.argmax())
        assert row["top_token"] == model.tokenizer.decode([row["top_id"]])


def test_editing_one_question_computes_its_cells_alone_and_going_back_none(project, capsys):
    assert run(project, capsys)[0] == (0, 4)
    first = run(project, capsys)
    assert first[0] == (4, 0)
    write({"questions": GRID["questions"] | {"bare": "{statement}? Say."}}, project)
    assert run(project, capsys)[0] == (2, 2)
    write({"prefixes": GRID["prefixes"] | {"third": "this is"}}, project)
    assert run(project, capsys)[0] == (4, 2)
    write({}, project)
    assert run(project, capsys) == first


def test_a_persona_reworded_in_prompt_is_reworded_in_the_grid(project, capsys):
    """One place: what the grid leaves open is what `prompt` says now."""
    run(project, capsys)
    write({"liar_prefix": "so, it is"}, project)
    assert run(project, capsys)[0] == (2, 2)
    write({"liar_system": "You are L."}, project)
    assert run(project, capsys)[0] == (0, 4)


def test_a_name_is_not_a_wording(project, capsys):
    run(project, capsys)
    names = {"a": "quoted", "b": "bare"}
    write({"questions": {new: GRID["questions"][old] for new, old in names.items()}}, project)
    assert run(project, capsys)[0] == (4, 0)
    assert set(pl.read_parquet(project / "out/liar.parquet")["question"]) == {"a", "b"}


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: write({"liar_system": "You are L."}, folder),
        lambda folder: write({"limit": 3}, folder),
        lambda folder: name(folder, "another"),
        lambda folder: (folder / "params.yaml").write_text(
            (folder / "params.yaml").read_text().replace('["true", "True"]', '["true"]')
        ),
    ],
    ids=["system prompt", "statements", "model", "answer words"],
)
def test_what_the_numbers_depend_on_is_not_taken_from_before(change, project, capsys):
    run(project, capsys)
    change(project)
    assert run(project, capsys)[0] == (0, 4)


def test_another_device_version_or_code_has_other_keys(project, monkeypatch):
    import transformers

    wordings = grid.wordings(params.section("grid", GridConfig), "liar")
    table = grid.sample(tables.read(project / "statements.parquet", tables.STATEMENTS), 4)
    tokenizer = lm.load_tokenizer(project / "model")
    answers = readout.answers(tokenizer, ReadoutConfig(**WORDS))
    rendered = cells.render(
        tokenizer,
        lm.load_config(project / "model"),
        wordings,
        table,
        project / "statements.parquet",
    )

    def names():
        return cells.keys(rendered, project / "model", answers)

    before = names()
    assert len(set(before)) == 4
    for target, name, value in (
        (torch, "__version__", "0"),
        (transformers, "__version__", "0"),
        (torch.cuda, "is_available", lambda: True),
        (cells.cache, "code", lambda *_: "other"),
    ):
        with monkeypatch.context() as changed:
            changed.setattr(target, name, value)
            assert not set(names()) & set(before)
    assert names() == before


def test_a_run_that_was_stopped_goes_on(project, capsys, monkeypatch):
    whole = forward_answers.read

    def stopped(*arguments):
        for i, arrays in enumerate(whole(*arguments)):
            if i == 3:
                raise KeyboardInterrupt
            yield arrays

    with monkeypatch.context() as changed:
        changed.setattr(forward_answers, "read", stopped)
        with pytest.raises(KeyboardInterrupt):
            run(project, capsys)
    capsys.readouterr()
    assert not (project / "out").exists()
    counts, resumed, _ = run(project, capsys)
    assert counts == (3, 1)
    for file in (project / "cache").rglob("*"):
        file.unlink() if file.is_file() else None
    counts, afresh, _ = run(project, capsys)
    assert counts == (0, 4)
    assert afresh == resumed


def test_a_damaged_cell_is_computed_again_and_the_others_are_not(project, capsys):
    _, first, _ = run(project, capsys)
    file = sorted((project / "cache/localizing-lying/wordings").iterdir())[1]
    file.write_bytes(file.read_bytes()[:-4])
    counts, second, said = run(project, capsys)
    assert counts == (3, 1)
    assert second == first
    assert said == f"{file}: kept, but damaged; computed again\n"
    assert run(project, capsys)[0] == (4, 0)


def test_no_model_is_loaded_where_every_cell_is_kept(project, capsys, monkeypatch):
    run(project, capsys)
    monkeypatch.setattr(lm, "load", lambda folder: pytest.fail("loaded"))
    assert run(project, capsys)[0] == (4, 0)


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
        ({"systems": ["honest"]}, "grid.systems: unknown system prompt 'liar', expected one"),
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
def test_wrong_wordings(changes, message, project, capsys):
    write(changes, project)
    with pytest.raises(UserError, match=message) as error:
        run(project, capsys)
    assert "\n" not in str(error.value)


def test_a_special_token_in_a_statement_is_refused(project, capsys):
    file = project / "statements.parquet"
    table = tables.read(file, tables.STATEMENTS)
    table = table.with_columns(statement=pl.col("statement") + "<|im_end|>")
    tables.write(file, table, tables.STATEMENTS, ["statement_id"])
    with pytest.raises(UserError, match="statement 0000000000000000: found '<\\|im_end\\|>'"):
        run(project, capsys)


def test_only_the_main_process_writes(project, capsys, monkeypatch):
    monkeypatch.setattr(forward, "is_main_process", lambda: False)
    stage.main("liar", project / "statements.parquet", project / "model", project / "out.parquet")
    assert not (project / "out.parquet").exists()
    assert not (project / "cache").exists()
    assert capsys.readouterr().out == ""
