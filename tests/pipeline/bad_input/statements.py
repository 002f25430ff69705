"""Bad inputs of one kind: statements."""

import io
from collections.abc import Callable
from typing import Any

import polars as pl

from tests.pipeline.bad_input.case import Case
from tests.pipeline.conftest import Project

LABELS = "expected 1 or 0, 1.0 or 0.0, true or false, t or f, yes or no, y or n"
HEAD = "statement,label\n"


def own(name: str, content: str | bytes, **settings: Any) -> Callable[[Project], None]:
    """Bring a file of statements, named `name` and listed as the only source."""

    def spoil(project: Project) -> None:
        file = project.folder / "data/raw" / name
        file.write_bytes(content.encode() if isinstance(content, str) else content)
        project.set({"statements": {"sources": {"own": f"data/raw/{name}"}} | settings})

    return spoil


def by_topic(content: str, **others: str) -> Callable[[Project], None]:
    """Bring a file that is one topic per value of its column `topic`, beside other sources."""
    source = {"file": "data/raw/own.csv", "topic": "topic"}
    return own("own.csv", content, sources={"own": source} | others)


def listed(sources: dict[Any, Any]) -> Callable[[Project], None]:
    """List other sources than the project's."""
    return lambda project: project.set({"statements": {"sources": sources}})


def linked(project: Project) -> None:
    """List a file in a linked folder, into which DVC does not look."""
    (project.folder / "elsewhere").mkdir()
    (project.folder / "elsewhere/own.csv").write_text(HEAD + "Water is wet.,1\n")
    (project.folder / "data/raw/out").symlink_to(project.folder / "elsewhere")
    listed({"own": "data/raw/out/own.csv"})(project)


def parquet(columns: dict[str, list[Any]]) -> bytes:
    """Bytes of a Parquet file."""
    stream = io.BytesIO()
    pl.DataFrame(columns).write_parquet(stream)
    return stream.getvalue()


def cut(project: Project) -> None:
    """Cut the table of statements that the stage made."""
    file = project.folder / "data/statements.parquet"
    file.write_bytes(file.read_bytes()[:-100])


def pattern(project: Project) -> None:
    """Bring a file whose name is a pattern, beside a good one that the pattern would find."""
    (project.folder / "data/raw/ownv.parquet").write_bytes(GOOD)
    rows = {"statement": ["Water is wet."], "label": ["si"]}
    own("own[v2].parquet", parquet(rows))(project)


GOOD = parquet({"statement": ["Water is wet."], "label": [1]})

CASES: list[Case] = [
    Case(
        name,
        "statements",
        spoil,
        expected,
    )
    for name, spoil, expected in (
        (
            "contradictions",
            own("own.csv", HEAD + "".join(f"Claim {i % 7}.,{i % 2}\n" for i in range(14))),
            "data/raw/own.csv: 7 statements have opposite labels: 'Claim 0.' (rows 2 and 9), ",
        ),
        (
            "contradictions alone, dropped",
            own("own.csv", HEAD + "Ice is hot.,0\nIce is hot.,1\n", contradictions="drop"),
            "data/raw/own.csv: no statements are left, expected at least one without opposite labels",
        ),
        (
            "contradiction of twins in unicode",
            own("own.csv", HEAD + "Bogot\u00e1 is wet.,0\nBogota\u0301 is wet.,1\n"),
            "data/raw/own.csv: 1 statement has opposite labels: 'Bogotá is wet.' (rows 2 and 3)",
        ),
        (
            "contradictions unknown word",
            own("own.csv", HEAD + "Water is wet.,1\n", contradictions="keep"),
            "params.yaml: statements.contradictions: found 'keep', expected one of refuse, drop",
        ),
        (
            "labels unknown",
            own("own.csv", HEAD + "Water is wet.,si\nIce is hot.,maybe\nFire is wet.,si\n"),
            "data/raw/own.csv: column 'label': found 'si' (row 2), 'maybe' (row 3), in 3 rows; "
            + LABELS,
        ),
        (
            "label not a number",
            own("own.jsonl", '{"statement": "Water is wet.", "label": NaN}\n'),
            "data/raw/own.jsonl: column 'label': found nan (row 1), in 1 row; " + LABELS,
        ),
        (
            "csv column twice",
            own("own.csv", "statement,label,note,note\nWater is wet.,1,a,b\n"),
            "data/raw/own.csv: row 1: column 'note' is there more than once, found statement, ",
        ),
        (
            "csv two separators",
            own("own.csv", "statement,label,a;statement;label\nx,1,2;y;0\n"),
            "data/raw/own.csv: row 1: both ',' and ';' separate the columns statement and label",
        ),
        (
            "csv semicolons without a label",
            own("own.csv", "statement;truth\nWater is wet.;1\n"),
            "data/raw/own.csv: row 1: column 'label' is missing, found statement, truth",
        ),
        (
            "csv comma in a text",
            own("own.csv", HEAD + "Ice, when melted, is water.,1\n"),
            "data/raw/own.csv: row 2: found 4 fields, expected 2 as in row 1",
        ),
        (
            "csv quote without its other",
            own("own.csv", HEAD + f'Water is wet.,1\n"{"Ice is hot. " * 20_000},0\n'),
            "data/raw/own.csv: row 3: unexpected end of data, expected quotes in pairs",
        ),
        (
            "csv latin-1",
            own("own.csv", (HEAD + "Water is wet.,1\nGelée.,1\n").encode("latin-1")),
            "data/raw/own.csv: line 3: byte 36 is not UTF-8, expected the file to be saved as",
        ),
        (
            "csv utf-16 without a mark",
            own("own.csv", (HEAD + "Water is wet.,1\n").encode("utf-16-le")),
            "data/raw/own.csv: line 1: found a NUL character, expected the file to be saved as",
        ),
        (
            "csv utf-16 cut",
            own("own.csv", (HEAD + "Water is wet.,1\n").encode("utf-16")[:-3]),
            "data/raw/own.csv: line 2: byte 63 is not UTF-16, expected the file to be saved as",
        ),
        (
            "csv control character",
            own("own.csv", HEAD + "It\x92s wet.,1\n"),
            "data/raw/own.csv: row 2: column 'statement': found U+0092 (a control character)",
        ),
        (
            "csv invisible statement",
            own("own.csv", HEAD + "Water is wet.,1\n\u200b\u00a0,0\n"),
            "data/raw/own.csv: row 3: column 'statement' is empty, expected a sentence",
        ),
        (
            "json half an emoji",
            own("own.jsonl", '{"statement": "Fire is \\ud83d.", "label": 1}\n'),
            "data/raw/own.jsonl: row 1: column 'statement': found U+D83D (half a character, ",
        ),
        (
            "json half an emoji in the subject",
            own("own.jsonl", '{"statement": "Fire is hot.", "label": 1, "subject": "\\ude00"}\n'),
            "data/raw/own.jsonl: row 1: column 'subject': found U+DE00 (half a character, ",
        ),
        (
            "json key twice",
            own("own.jsonl", '{"statement": "Water is wet.", "label": 1, "label": 0}\n'),
            "data/raw/own.jsonl: row 1: key 'label' is there more than once",
        ),
        (
            "json nested without end",
            own("own.jsonl", "[" * 100_000),
            "data/raw/own.jsonl: row 1: JSON that cannot be read (maximum recursion depth",
        ),
        (
            "json number without end",
            own("own.jsonl", '{"statement": "Water is wet.", "label": ' + "1" * 5000 + "}\n"),
            "data/raw/own.jsonl: row 1: JSON that cannot be read (Exceeds the limit",
        ),
        (
            "json array with a text in it",
            own("own.json", '[{"statement": "Water is wet.", "label": 1}, "Ice is hot."]'),
            "data/raw/own.json: row 2: found a JSON str, expected one array of objects",
        ),
        (
            "json array without an end",
            own("own.json", '[{"statement": "Water is wet.", "label": 1},\n'),
            "data/raw/own.json: line 2: not valid JSON (Expecting value), expected one array of",
        ),
        (
            "parquet empty",
            own("own.parquet", b""),
            "data/raw/own.parquet: not a Parquet file: Parquet file size is 0 bytes",
        ),
        (
            "parquet cut",
            own("own.parquet", GOOD[:-20]),
            "data/raw/own.parquet: not a Parquet file: ",
        ),
        (
            "parquet encrypted",
            own("own.parquet", GOOD[:-4] + b"PARE"),
            "data/raw/own.parquet: not a Parquet file: ",
        ),
        (
            "parquet garbled",
            own("own.parquet", GOOD[:4] + b"\xff" * 40 + GOOD[44:]),
            "data/raw/own.parquet: not a Parquet file: ",
        ),
        (
            "parquet with a table in a field",
            own("own.parquet", parquet({"statement": [{"text": "Water."}], "label": [1]})),
            "data/raw/own.parquet: row 1: column 'statement': found {'text': 'Water.'}, expected",
        ),
        (
            "parquet of a name that is a pattern",
            pattern,
            "data/raw/own[v2].parquet: column 'label': found 'si' (row 1), in 1 row",
        ),
        (
            "topic missing",
            by_topic(HEAD + "Water is wet.,1\n"),
            "data/raw/own.csv: row 1: column 'topic' is missing, found statement, label",
        ),
        (
            "topic empty",
            by_topic("statement,label,topic\nWater is wet.,1,a\nIce is hot.,0, \n"),
            "data/raw/own.csv: row 3: column 'topic' is empty, expected the name of a topic",
        ),
        (
            "topics of one name",
            by_topic("statement,label,topic\nWater is wet.,1,A/B\nIce is hot.,0,a b\n"),
            "data/raw/own.csv: column 'topic': found 'a b' (row 3) and 'A/B' (row 2), which would",
        ),
        (
            "topic of another source's name",
            by_topic("statement,label,topic\nWater is wet.,1,a\n", own_a="data/raw/own.csv"),
            "data/raw/own.csv: column 'topic': found 'a' (row 2), but another topic has the name",
        ),
        (
            "topics without number",
            by_topic("statement,label,topic\n" + "".join(f"C {i}.,1,{i}\n" for i in range(101))),
            "data/raw/own.csv: column 'topic': found 101 topics, expected at most 100",
        ),
        (
            "source with an unknown key",
            listed({"own": {"file": "data/raw/own.csv", "topics": "topic"}}),
            "params.yaml: statements.sources.own.topics: unknown key, expected one of file, topic",
        ),
        (
            "source whose topics would be negations",
            listed({"neg": {"file": "data/raw/own.csv", "topic": "topic"}}),
            "params.yaml: statements.sources.neg: topics of a column would be named neg_TOPIC",
        ),
        (
            "source in a linked folder",
            linked,
            "params.yaml: statements.sources.own: data/raw/out/own.csv is outside data/raw; put",
        ),
        (
            "source is a folder",
            listed({"own": "data/raw"}),
            "data/raw: found a folder, expected a file",
        ),
    )
]
CASES.append(
    Case(
        "statements table cut",
        "prompts",
        cut,
        "data/statements.parquet: cut or changed since it was written (",
    )
)
