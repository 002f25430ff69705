"""The head set and the best window, written and read back."""

import json

import pytest

from stages.lib.io import records, tables
from stages.lib.io.cli import UserError
from stages.lib.patching.best_window import BestWindow
from stages.lib.patching.head_set import HeadSet, Persona
from stages.lib.patching.layer_window import Window
from stages.lib.patching.patch import Head

HONEST, LIAR = Persona("honest", "Be honest.", "It is"), Persona("liar", "Lie.", "It is")
SET = HeadSet(
    heads=[Head(2, 0), Head(2, 7)],
    chosen_by="greedy",
    window=Window(1, 2),
    model="abc",
    question='"{statement}"?',
    source=HONEST,
    base=LIAR,
    split="selection",
    topics=["cities"],
    n_statements=3,
    positions=25,
)


def test_a_head_set_is_read_as_it_was_written(tmp_path):
    records.write(tmp_path / "heads.json", SET)
    result = records.read(tmp_path / "heads.json", HeadSet)
    assert result == SET
    assert all(isinstance(head, Head) for head in result.heads)


def test_the_file_has_the_keys_of_the_set_and_heads_as_pairs(tmp_path):
    records.write(tmp_path / "heads.json", SET)
    content = json.loads((tmp_path / "heads.json").read_text())
    assert content == vars(SET) | {
        "heads": [[2, 0], [2, 7]],
        "window": vars(SET.window),
        "source": vars(HONEST),
        "base": vars(LIAR),
    }


@pytest.mark.parametrize("window", [None, Window(1, 2)])
def test_a_best_window_is_read_as_it_was_written(tmp_path, window):
    records.write(tmp_path / "best.json", BestWindow(window))
    assert tables.read_json(tmp_path / "best.json") == {"window": window and window.columns}
    assert records.read(tmp_path / "best.json", BestWindow).window == window


def test_a_file_without_a_key_is_named(tmp_path):
    tables.write_json(tmp_path / "heads.json", {"heads": [[1, 2]]})
    with pytest.raises(UserError, match=r"heads\.json: cut or changed .*chosen_by"):
        records.read(tmp_path / "heads.json", HeadSet)
