"""What the behaviour stage measures, from readouts that are written by hand."""

import json

import polars as pl
import pytest

from stages.behaviour import __main__ as stage
from stages.behaviour import knowledge
from stages.behaviour.config import BehaviourConfig
from stages.behaviour.metrics import Known
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.lib.stats import NOTHING, answer_rates

PERSONAS = ["neutral", "honest", "liar"]
SETTINGS = BehaviourConfig(neutral="neutral", known_margin=0.1, known_answer_mass=0.5)


def statements(rows):
    """Statements from (topic, label, subject)."""
    return pl.DataFrame(
        [
            {
                "statement_id": f"{i:016x}",
                "topic": topic,
                "statement": f"Statement {i}.",
                "label": label,
                "subject": subject,
                "object": "",
                "template": "",
                "split": "report",
                "origin": "built-in",
            }
            for i, (topic, label, subject) in enumerate(rows)
        ],
        schema=tables.STATEMENTS,
    )


def readouts(probabilities, ids=None):
    """Readouts from (p_true, p_false)."""
    return pl.DataFrame(
        [
            {
                "statement_id": ids[i] if ids else f"{i:016x}",
                "p_true": p_true,
                "p_false": p_false,
                "answer_mass": p_true + p_false,
            }
            for i, (p_true, p_false) in enumerate(probabilities)
        ],
        schema=tables.READOUTS,
    )


FOUR = statements(
    [("cities", True, "a"), ("cities", False, "b"), ("metals", True, "c"), ("metals", False, "d")]
)
# right and sure; wrong; wrong by a tie; right by a little
ANSWERS = answer_rates.answer(FOUR, readouts([(0.9, 0.05), (0.6, 0.2), (0.25, 0.25), (0.46, 0.54)]))


def test_answer_is_the_likelier_word_and_a_tie_is_false():
    assert ANSWERS["correct"].to_list() == [True, False, False, True]
    assert ANSWERS["confidence"].to_list() == pytest.approx([0.9, 0.6, 0.25, 0.54])
    assert ANSWERS["margin"].to_list() == pytest.approx([0.85, 0.4, 0, 0.08])


def test_measures_by_split():
    topics = answer_rates.by_topic(ANSWERS)
    assert list(topics) == ["all", "cities", "metals"]
    values = {
        topic: {name: (one.value, one.n) for name, one in vars(answer_rates.rates(rows)).items()}
        for topic, rows in topics.items()
    }
    assert values["cities"]["accuracy"] == (0.5, 2)
    assert values["cities"]["recall_true"] == (1, 1)
    assert values["cities"]["recall_false"] == (0, 1)
    assert values["cities"]["answer_mass"] == (pytest.approx(0.875), 2)
    assert values["metals"]["recall_true"] == (0, 1)
    assert values["metals"]["recall_false"] == (1, 1)
    assert values["all"]["accuracy"] == (0.5, 4)
    assert values["all"]["answer_mass"] == (pytest.approx(0.8125), 4)


def test_recall_without_such_statements_is_none_and_not_zero():
    only_true = answer_rates.answer(statements([("x", True, "a")]), readouts([(0.1, 0.8)]))
    measured = answer_rates.rates(only_true)
    assert measured.recall_true.value == 0
    assert measured.recall_false == NOTHING


def test_thresholds_count_what_is_at_least_so_confident():
    rows = answer_rates.threshold_rows("liar", ANSWERS)
    assert [row["threshold"] for row in rows] == [step / 20 for step in range(21)]
    by_threshold = {row["threshold"]: (row["accuracy"], row["n"]) for row in rows}
    assert by_threshold[0.25] == (0.5, 4)  # reached exactly
    assert by_threshold[0.3] == (pytest.approx(2 / 3), 3)
    assert by_threshold[0.55] == (0.5, 2)
    assert by_threshold[0.65] == (1, 1)
    assert by_threshold[0.95] == (None, 0)
    assert {row["persona"] for row in rows} == {"liar"}


def test_known_is_right_clear_and_meant():
    table = statements([("x", True, name) for name in "abcde"])
    answers = answer_rates.answer(
        table,
        readouts(
            [
                (0.9, 0.05),  # known
                (0.05, 0.9),  # wrong
                (0.54, 0.46),  # right by too little
                (0.3, 0.1),  # right, but mostly some other word
                (0.375, 0.125),  # answer_mass of exactly 0.5: not above
            ]
        ),
    )
    known = knowledge.know(answers, SETTINGS)
    assert known["known"].to_list() == [True, False, False, False, False]
    easier = knowledge.know(answers, BehaviourConfig("neutral", 0.05, 0.375))
    assert easier["known"].to_list() == [True, False, True, True, True]
    counts = knowledge.count_known(answers, known)
    assert counts["all"] == counts["x"]
    assert counts["x"].both == Known(1, 5)
    assert counts["x"].true == Known(1, 5)
    assert counts["x"].false == Known(0, 0)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A folder with params, statements and readouts of three personas."""
    monkeypatch.chdir(tmp_path)
    params = {"personas": PERSONAS, "behaviour": vars(SETTINGS)}
    (tmp_path / "params.yaml").write_text(json.dumps(params))
    tables.write(tmp_path / "statements.parquet", FOUR, tables.STATEMENTS, ["statement_id"])
    told = [(0.9, 0.05), (0.05, 0.9), (0.8, 0.1), (0.1, 0.8)]
    lied = [(p_false, p_true) for p_true, p_false in told]
    for persona, rows in zip(PERSONAS, (told, told, lied), strict=True):
        file = tmp_path / "readouts" / f"{persona}.parquet"
        tables.write(file, readouts(rows), tables.READOUTS, ["statement_id"])
        write_prompts(tmp_path, persona, PERSONAS.index(persona))
    return tmp_path


def run(folder):
    """Run the stage in a folder."""
    stage.main(
        folder / "statements.parquet",
        folder / "prompts",
        folder / "readouts",
        folder / "known.parquet",
        folder / "metrics.json",
        folder / "plots",
    )


def write_prompts(folder, persona, first, ids=None):
    """Prompts of two tokens, the first of which is the persona's own."""
    ids = ids or FOUR["statement_id"].to_list()
    table = pl.DataFrame(
        {
            "statement_id": ids,
            "persona": [persona] * len(ids),
            "text": [""] * len(ids),
            "token_ids": [[first, 10 + i] for i in range(len(ids))],
            "prefix_ids": [[first]] * len(ids),
            "n_tokens": [2] * len(ids),
        }
    )
    file = folder / "prompts" / f"{persona}.parquet"
    tables.write(file, table, tables.PROMPTS, ["statement_id"])


def outputs(folder):
    """Bytes of everything that the stage writes."""
    names = ["known.parquet", "metrics.json", "plots/accuracy.json", "plots/thresholds.json"]
    return {name: (folder / name).read_bytes() for name in names}


def test_stage_writes_tables_and_metrics_with_stable_bytes(project):
    run(project)
    metrics = json.loads((project / "metrics.json").read_text())
    low = 1 / (1 + 3.182446**2 / 4)  # Wilson's at 4 of 4 subjects; Student's t, 3 degrees
    honest, liar = (metrics["personas"][name]["all"] for name in ("honest", "liar"))
    assert honest["accuracy"] == {
        "value": 1,
        "low": pytest.approx(low, abs=1e-6),
        "high": 1,
        "n": 4,
    }
    assert liar["accuracy"] == {
        "value": 0,
        "low": 0,
        "high": pytest.approx(1 - low, abs=1e-6),
        "n": 4,
    }
    assert metrics["known"]["all"]["both"] == {"known": 4, "n": 4}
    rows = tables.read_json(project / "plots" / "accuracy.json")
    assert len(rows) == 3 * 3 * 4
    assert list(rows[0]) == ["persona", "topic", "measure", "value", "low", "high", "n"]
    rows = tables.read_json(project / "plots" / "thresholds.json")
    assert len(rows) == 3 * 21
    assert list(rows[0]) == ["persona", "threshold", "accuracy", "low", "high", "n"]
    known = tables.read(project / "known.parquet", tables.KNOWN)
    assert known["known"].to_list() == [True] * 4
    first = outputs(project)
    run(project)
    assert outputs(project) == first


def test_what_comes_first_is_there_for_a_persona_whose_answers_hold_little_and_for_no_other(
    project,
):
    run(project)
    before = outputs(project)
    file = project / "readouts" / "liar.parquet"
    rows = readouts([(0.05, 0.1)] * 4).with_columns(first_token=pl.Series(["<think>"] * 3 + ["I"]))
    tables.write(file, rows, tables.FIRST_TOKENS, ["statement_id"])
    run(project)
    metrics = json.loads((project / "metrics.json").read_text())
    assert metrics["first_token"].keys() == {"liar"}
    first = metrics["first_token"]["liar"]
    assert (first["token"], first["value"], first["n"]) == ("<think>", 0.75, 4)
    assert b"first_token" not in before["metrics.json"]


def test_a_persona_no_longer_declared_is_not_read(project):
    (project / "readouts" / "former.parquet").write_bytes(b"left behind")
    run(project)
    metrics = json.loads((project / "metrics.json").read_text())
    assert sorted(metrics["personas"]) == sorted(PERSONAS)


def test_readouts_of_other_statements_are_refused(project):
    file = project / "readouts" / "liar.parquet"
    ids = [f"{i:016x}" for i in (0, 1, 2, 9)]
    tables.write(file, readouts([(0.5, 0.4)] * 4, ids), tables.READOUTS, ["statement_id"])
    message = r"liar\.parquet: .*1 are missing and 1 unknown, 0000000000000003 is missing"
    with pytest.raises(UserError, match=message):
        run(project)
    assert not (project / "metrics.json").exists()


@pytest.mark.parametrize(("one", "other"), [("neutral", "honest"), ("neutral", "liar")])
def test_two_personas_with_the_same_prompts_are_refused_whatever_their_parts(project, one, other):
    write_prompts(project, other, PERSONAS.index(one))
    with pytest.raises(UserError) as error:
        run(project)
    assert str(error.value) == (
        f"{project / 'prompts' / one}.parquet and {project / 'prompts' / other}.parquet: the same "
        "token ids in 4 of 4 rows, expected two personas whose prompts differ; their wordings do "
        "not reach the prompt"
    )
    assert not (project / "metrics.json").exists()


def test_prompts_of_other_statements_are_refused(project):
    write_prompts(project, "liar", 7, FOUR["statement_id"].to_list()[:3])
    with pytest.raises(UserError, match=r"prompts/liar\.parquet: found 3 statement_ids"):
        run(project)


def test_missing_readouts_are_named(project):
    (project / "readouts" / "honest.parquet").unlink()
    with pytest.raises(UserError, match=r"honest\.parquet: no such file"):
        run(project)


def test_neutral_must_be_a_declared_persona(project):
    params = {"personas": PERSONAS, "behaviour": vars(SETTINGS) | {"neutral": "nobody"}}
    (project / "params.yaml").write_text(json.dumps(params))
    with pytest.raises(UserError, match=r"behaviour\.neutral: unknown persona 'nobody'"):
        run(project)
