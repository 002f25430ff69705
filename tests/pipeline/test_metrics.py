"""The metrics in git hold what their schema says, and nothing else."""

import importlib

import pytest

from stages.lib.io import records
from tests.pipeline.closure import ROOT

NODES = {path.parent.name for path in (ROOT / "stages").glob("*/metrics.py")}


@pytest.mark.parametrize("node", sorted(NODES))
def test_metrics_are_read_and_written_again_with_the_same_bytes(node, tmp_path):
    module = importlib.import_module(f"stages.{node}.metrics")
    own = {name: kind for name, kind in vars(module).items() if name.endswith("Metrics")}
    classes = [kind for kind in own.values() if getattr(kind, "__module__", "") == module.__name__]
    schema = own.get("Metrics") or classes.pop()  # `Metrics` is a union of several
    assert "Metrics" in own or not classes
    file = ROOT / "metrics" / {"wordings": "grid.json"}.get(node, f"{node}.json")
    records.write(tmp_path / "again.json", records.read(file, schema))
    assert (tmp_path / "again.json").read_bytes() == file.read_bytes()
