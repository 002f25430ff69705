"""Claims that nodes make themselves: the report finds them, and reads their metrics."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import stages
from stages.lib.claim import INCONCLUSIVE, NOT_SUPPORTED, SUPPORTED, UNTESTED
from stages.lib.io import records
from stages.lib.io.cli import UserError
from stages.lib.results import nodes
from stages.lib.stats.run_points import Point
from stages.report import own

TEMPLATE = Path(__file__).parents[1] / "pipeline/new_sweep/metrics.py"
RIGHT = Point(
    accuracy=0.9, low=0.8, high=1.0, n=40, p_correct=0.9, p_correct_low=0.8, p_correct_high=1.0
)
WRONG = replace(RIGHT, accuracy=0.1, low=0.0, high=0.2)
HALF = replace(RIGHT, accuracy=0.5, low=0.4, high=0.6)
NOTHING = replace(RIGHT, accuracy=None, low=None, high=None, n=0)


@pytest.fixture
def result(tmp_path, monkeypatch):
    """Metrics of a new sweep, below another root, which is imported as `stages` too."""
    folder = tmp_path / "stages/single_layers"
    folder.mkdir(parents=True)
    shutil.copy(TEMPLATE, folder)
    monkeypatch.setattr(nodes, "STAGES", tmp_path / "stages")
    monkeypatch.setattr(stages, "__path__", [*stages.__path__, str(tmp_path / "stages")])
    (schema,) = nodes.classes("*/metrics.py", "claim")
    return schema(best=3, patched=RIGHT, base=WRONG)


@pytest.mark.parametrize(
    ("patched", "verdict"),
    [(RIGHT, SUPPORTED), (WRONG, NOT_SUPPORTED), (HALF, INCONCLUSIVE), (NOTHING, UNTESTED)],
)
def test_a_claim_that_is_added_has_its_verdict(tmp_path, result, patched, verdict):
    records.write(tmp_path / "single_layers.json", replace(result, patched=patched))
    (claim,) = own.claims(tmp_path)
    assert claim.question == "Does patching one layer alone undo the lie?"
    assert claim.verdict(lies=True) == verdict
    assert claim.verdict(lies=False) == UNTESTED


@pytest.mark.usefixtures("result")
def test_metrics_that_are_missing_are_one_line(tmp_path):
    with pytest.raises(UserError, match="single_layers.json: no such file"):
        own.claims(tmp_path)
