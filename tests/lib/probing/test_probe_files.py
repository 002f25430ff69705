"""Tables of fitted probes come back as they were, nulls included."""

from stages.lib.probing import probe_files
from stages.probes.metrics import Fall

LAYER = {"site": "z", "labels": "true", "fit": "a", "scored": "b", "layer": 1}
NOTHING = {"accuracy": None, "low": None, "high": None, "n": 0}
FALLS = {"z": {"a": {"b": Fall(None, 0), "c": Fall(7, 9)}}}


def test_tables_of_probes_come_back_with_their_nulls(tmp_path):
    probe_files.write(tmp_path, [LAYER | NOTHING], FALLS)
    assert probe_files.layers(tmp_path).to_dicts() == [LAYER | NOTHING]
    assert probe_files.falls(tmp_path).rows() == [("z", "a", "b", None, 0), ("z", "a", "c", 7, 9)]


def test_no_probe_at_all(tmp_path):
    probe_files.write(tmp_path, [], {})
    assert probe_files.layers(tmp_path).is_empty()
    assert probe_files.falls(tmp_path).is_empty()
