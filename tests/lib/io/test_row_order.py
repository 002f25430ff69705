from pathlib import Path

import pytest

from stages.lib.io import row_order
from stages.lib.io.cli import UserError

FILE = Path("folder/file")


def test_rows_of_some_statements_are_found_in_their_order():
    assert row_order.rows(FILE, ["a", "b", "c", "d"], ["b", "d"]) == [1, 3]
    assert row_order.rows(FILE, ["a"], []) == []


@pytest.mark.parametrize(
    ("wanted", "detail"),
    [(["a", "x"], "x is missing"), (["c", "a"], "the rows are in another order or repeat")],
)
def test_statements_that_are_missing_or_in_another_order_are_refused(wanted, detail):
    with pytest.raises(UserError, match=rf"folder/file: found \d statement_ids, .*{detail}"):
        row_order.rows(FILE, ["a", "b", "c"], wanted)
