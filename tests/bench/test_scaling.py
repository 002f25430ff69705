"""What the page on large models says is what the calculation gives, and that is what was counted."""

import json
from pathlib import Path

import pytest

from tests.bench import scaling
from tests.bench.scaling import LLAMA, LONG, SMOL, Prompt
from tests.pipeline.closure import ROOT, run_the_model

PAGE = ROOT / "stages/SCALING.md"
HERE = Path(__file__).parent
# Mean lengths: 25 tokens are run, the patched ones, as fewer are a prompt's own.
PROMPTS = {"default": Prompt(82, 25), "long": Prompt(182, 25)}
N_STATEMENTS, N_PROMPTS = 16, 2


def counted(length, task):
    """GFLOP per unit of this project, as they were counted."""
    rows = json.loads((HERE / f"{length}.json").read_text())
    (row,) = (
        row for row in rows if (row["contender"], row["task"], row["round"]) == ("ours", task, 0)
    )
    return row["gflop"] / row["units"]


def calculated(length, task):
    """The same by calculation, with the unpatched runs that patched ones start from."""
    prompt = PROMPTS[length]
    both = N_PROMPTS * scaling.unpatched(SMOL, prompt, shared_by=N_STATEMENTS)
    if task == "cache":
        return both / 1e9
    size, n = (5, SMOL.n_layers - 4) if task == "window" else (1, SMOL.n_layers * SMOL.n_heads)
    return (scaling.windows(SMOL, prompt, size) + both / n) / 1e9


@pytest.mark.parametrize("length", PROMPTS)
@pytest.mark.parametrize("task", ["cache", "window", "heads"])
def test_operations_of_the_default_model_are_those_that_were_counted(length, task):
    assert calculated(length, task) == pytest.approx(counted(length, task), rel=0.05)


def test_weights_are_those_of_the_models():
    assert LLAMA.n_weights == pytest.approx(68.98e9, rel=1e-3)
    assert SMOL.n_weights == pytest.approx(134.5e6, rel=1e-3)


def test_a_patch_costs_less_the_later_it_is_and_the_more_it_writes():
    first, last = (scaling.patched(LLAMA, LONG, layer) for layer in (0, 79))
    assert last < first / 20
    assert scaling.patched(LLAMA, LONG, 0, n_whole=5) < first < scaling.unpatched(LLAMA, LONG)


def test_sweeps_over_layers_have_the_runs_of_the_default_model():
    """As many rows as its tables have: windows 3,584, single heads 16 x 272, erasure 5,312."""
    runs = {job.stages: job.n_runs for job in scaling.jobs(SMOL, LONG)}
    assert runs["windows"] == 3584
    assert runs["single_heads"] == 16 * (270 + 2)
    assert runs["erasure"] == 2 * 32 * (4 * 11 + 2 * 19 + 2)
    assert runs["activations"] == 1440
    assert set(runs) <= run_the_model()


def test_the_page_has_both_tables():
    text = PAGE.read_text(encoding="utf-8")
    for table in (scaling.costs(), scaling.memory()):
        assert "\n".join(table) in text


def test_money_goes_by_time_and_price(monkeypatch):
    before = scaling.dollars(90)
    assert before == 1.5 * 4 * 2.5
    monkeypatch.setattr(scaling, "DOLLARS", 5.0)
    assert scaling.dollars(90) == 2 * before
