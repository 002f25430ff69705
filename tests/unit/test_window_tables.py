"""The best window is chosen on one part, and only where both labels are known."""

import numpy as np
import polars as pl

from stages.lib.forward import Readouts
from stages.lib.io import tables
from stages.lib.patching import patch
from stages.lib.patching.cases import Cases
from stages.windows import window_tables

COLUMNS = ("statement_id", "split", "label", "subject", "part")
CONFIG = patch.Config(source="honest", base="liar", positions=5)


def cases(labels):
    n = len(labels)
    table = pl.DataFrame(
        {
            "statement_id": [f"{i:02d}" for i in range(n)],
            "split": ["a"] * n,
            "label": labels,
            "subject": [f"s{i}" for i in range(n)],
            "part": ["selection", "report"] * (n // 2),
        },
        schema={name: tables.STATEMENTS[name] for name in COLUMNS},
    )
    return Cases(table, [[0]] * n, [[0]] * n)


def readouts(found, right):
    """Windows that answer rightly on each part with a given probability; the base run lies."""
    part = (found.table["part"] == "report").to_numpy().astype(int)

    def answers(p):
        return np.stack([np.where(found.label, p, 1 - p), np.where(found.label, 1 - p, p)], -1)

    patched = [answers(np.array(window)[part]) for window in right]
    everywhere = np.ones(len(part))
    return Readouts(answers(0 * everywhere), answers(everywhere), np.stack(patched))


# (selection, report): the second window is best on the part that chooses, the third on the other
RIGHT = [(0.1, 0.1), (0.9, 0.2), (0.6, 0.99)]


def test_the_window_is_chosen_on_the_selection_part():
    found = cases([True, True, False, False] * 3)
    points = window_tables.points(found, readouts(found, RIGHT), CONFIG, 2)
    assert window_tables.best(found, points) == 1
    metrics = window_tables.summarise(found, points, 1, CONFIG, 2)
    assert metrics["best"] == {"first_layer": 1, "last_layer": 2}
    report = metrics["runs"]["report"]
    assert {run: row["accuracy"] for run, row in report.items()} == {
        "patched": 0.0, "source": 1.0, "base": 0.0,
    }  # fmt: skip
    assert metrics["known"]["report"] == {"true": 3, "false": 3}


def test_no_window_is_chosen_where_a_constant_answer_would_be_right():
    found = cases([False] * 12)
    points = window_tables.points(found, readouts(found, RIGHT), CONFIG, 2)
    assert window_tables.best(found, points) is None
    metrics = window_tables.summarise(found, points, None, CONFIG, 2)
    assert metrics["best"] is None
    assert "not both labels" in metrics["chosen_by"]
    assert set(metrics["runs"]["report"]) == {"source", "base"}


def test_nothing_known_gives_empty_cells_and_no_window():
    found = cases([])
    patched = Readouts(np.empty((0, 2)), np.empty((0, 2)), np.empty((3, 0, 2)))
    points = window_tables.points(found, patched, CONFIG, 2)
    assert {point["accuracy"] for point in points} == {None}
    assert window_tables.best(found, points) is None
