"""A user's file of any shape is a table or one line that names the file; never a traceback."""

import csv
import io
import json
from datetime import timedelta
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stages.lib.facts.draw import Draw
from stages.lib.io import tables
from stages.lib.io.cli import UserError
from stages.statements.sources import files
from stages.statements.sources.listed import ENDINGS, Source
from tests.properties.texts import ANY, PIECES, require_line

DRAW = Draw(seed=0, report_share=0.5)
NAMES = st.one_of(
    st.sampled_from(
        ("statement", "label", "subject", "object", "template", "topic", " Label ", "")
    ),
    st.text(max_size=3),
)
LABELS = st.sampled_from(("1", "0", "true", "False", "yes", "n", "1.0", "x", "", " t ", "２", "1."))
SENTENCES = st.one_of(
    st.sampled_from(("Rome is in Italy.", "Oslo is in Italy.", "Bogot\u00e1", "Bogota\u0301")), ANY
)
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=4), SENTENCES, LABELS
    ),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=4)),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("sources")


def checked(folder, ending, content, topic):
    """Read a file: None where it is refused in one line that names it."""
    file = folder / f"own{ending}"
    file.write_bytes(content)
    try:
        table = files.read(Source("own", file, topic), DRAW, False, set())
    except UserError as error:
        require_line(error, f"{file}: ")
        return None
    assert len(table) > 0
    assert table.schema == tables.STATEMENTS
    assert not any(table.null_count().row(0))
    assert table["statement_id"].is_unique().all()
    assert all(text.strip() for text in table["statement"])
    out = folder / "statements.parquet"
    tables.write(out, table, tables.STATEMENTS, ["statement_id"])
    assert tables.read(out, tables.STATEMENTS).equals(table.sort("statement_id"))
    return table


TOPICS = st.sampled_from((None, None, "topic", "subject"))
ENCODINGS = st.sampled_from(
    ("utf-8", "utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1", "utf-16-le")
)


@given(st.sampled_from(ENDINGS), st.binary(max_size=300), TOPICS)
@example(".csv", b"", None)
@example(".json", b"[]", None)
@example(".parquet", b"PAR1PAR1", None)
def test_any_bytes(folder, ending, content, topic):
    checked(folder, ending, content, topic)


@st.composite
def tables_of_text(draw):
    """A table as text, by a program or by hand."""
    rows = draw(st.lists(st.tuples(SENTENCES, LABELS, ANY), max_size=6))
    names = draw(st.one_of(st.just(["statement", "label", "topic"]), st.lists(NAMES, max_size=4)))
    separator = draw(st.sampled_from(",;\t"))
    if draw(st.booleans()):
        text = "\n".join(separator.join(row) for row in [names, *rows])
    else:
        out = io.StringIO()
        end = draw(st.sampled_from(("\r\n", "\n", "\r")))
        writer = csv.writer(out, delimiter=separator, lineterminator=end, escapechar="\\")
        writer.writerows([names, *rows])
        text = out.getvalue()
    return draw(st.sampled_from(("", "sep=;\n", "\ufeff", "\n"))) + text


@given(st.sampled_from((".csv", ".tsv")), tables_of_text(), ENCODINGS, TOPICS)
def test_any_table_of_text(folder, ending, text, encoding, topic):
    checked(
        folder,
        ending,
        text.encode(encoding, "surrogatepass" if "utf" in encoding else "replace"),
        topic,
    )


ROWS = st.lists(
    st.one_of(
        st.fixed_dictionaries(
            {
                "statement": SENTENCES,
                "label": st.one_of(LABELS, st.sampled_from((0, 1, True, 1.0))),
            },
            optional={"topic": JSON, "subject": JSON, "object": JSON, "template": ANY},
        ),
        st.dictionaries(NAMES, JSON, max_size=4),
        JSON,
    ),
    max_size=6,
)


@given(st.sampled_from((".jsonl", ".ndjson", ".json")), ROWS, st.booleans(), st.booleans(), TOPICS)
def test_any_json(folder, ending, rows, escaped, array, topic):
    text = (
        json.dumps(rows, ensure_ascii=escaped)
        if array
        else "\n".join(json.dumps(row, ensure_ascii=escaped) for row in rows)
    )
    checked(folder, ending, text.encode("utf-8", "surrogatepass"), topic)


WHOLE = ANY.filter(lambda text: not any("\ud800" <= c <= "\udfff" for c in text))
COLUMNS = (
    WHOLE,
    LABELS,
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from((0, 1)),
    st.floats(),
    st.sampled_from((0.0, 1.0)),
    st.binary(max_size=4),
    st.dates(),
    st.datetimes(),
    st.timedeltas(timedelta(-99_999), timedelta(99_999)),  # Parquet counts nanoseconds in 64 bits
    st.lists(st.integers(0, 3), max_size=2),
    st.sampled_from((Decimal("0.00"), Decimal("1.00"))),
    st.fixed_dictionaries({"text": WHOLE}),
    st.none(),
)


@st.composite
def parquet(draw):
    """A Parquet file with columns of any types."""
    n = draw(st.integers(0, 4))
    columns = {}
    for name in draw(st.sampled_from((("statement", "label"), ("statement", "label", "topic")))):
        kinds = COLUMNS if draw(st.booleans()) else (WHOLE,) if name != "label" else (LABELS,)
        values = st.one_of(draw(st.sampled_from(kinds)), st.none())
        columns[name] = pa.array(draw(st.lists(values, min_size=n, max_size=n)))
    for name in draw(
        st.lists(NAMES.filter(lambda name: name not in columns), unique=True, max_size=2)
    ):
        columns[name] = pa.nulls(n)
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, compression=draw(st.sampled_from(("none", "zstd"))))
    return out.getvalue()


@given(parquet(), TOPICS)
def test_any_parquet(folder, content, topic):
    checked(folder, ".parquet", content, topic)


@given(st.sampled_from(PIECES), st.sampled_from((".csv", ".jsonl", ".parquet")))
def test_a_statement_is_the_text_that_was_brought(folder, piece, ending):
    """White space at its ends is no part of it."""
    text = f"Rome {piece} Italy."
    if ending == ".csv":
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows([("statement", "label"), (text, "1")])
        content = out.getvalue().encode("utf-8", "surrogatepass")
    elif ending == ".jsonl":
        content = json.dumps({"statement": text, "label": 1}).encode()
    elif "\ud83d" in text:
        return
    else:
        out = io.BytesIO()
        pq.write_table(pa.table({"statement": [text], "label": [1]}), out)
        content = out.getvalue()
    table = checked(folder, ending, content, None)
    assert table is None or table["statement"].to_list() == [text]
