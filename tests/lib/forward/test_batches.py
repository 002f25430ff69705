"""Rows cut into batches, as many for each process and as many tokens in each."""

import numpy as np
import pytest

from stages.lib.forward import batches, filled
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import Prompts
from stages.lib.model import processes
from stages.lib.model.processes import Alone
from tests import tiny

N = 200


@pytest.fixture(scope="module")
def model():
    return tiny.wrap(tiny.random_model(intermediate_size=64))


@pytest.fixture(scope="module")
def prompts(model):
    """Prompts of 4 to 99 tokens, most of them short, in no order."""
    random = np.random.default_rng(0)
    lengths = (3 + 96 * random.random(N) ** 3).astype(int)
    return Prompts(model, [[1, *random.integers(0, 250, n).tolist()] for n in lengths], 1)


def shares(monkeypatch, prompts, rows, n, at_once, patched=False):
    """Batches of each of some processes."""
    result = []
    for rank in range(n):
        state = Alone(rank == 0, rank, n)
        monkeypatch.setattr(processes, "processes", lambda state=state: state)
        cut = batches.of_like_length(prompts, rows, at_once, patched)
        result.append([list(dict.fromkeys(batch)) for batch in batches.share(cut)])
    return result


def tokens(prompts, share):
    return sum(prompts.own[row] for batch in share for row in batch)


@pytest.mark.parametrize("at_once", [1, 8, 37, 1000])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_every_row_is_in_one_batch_of_one_process_and_batches_are_as_many(
    n, at_once, prompts, model, monkeypatch
):
    every = shares(monkeypatch, prompts, range(N), n, at_once)
    assert sorted(row for share in every for batch in share for row in batch) == [*range(N)]
    most = max(1, at_once // filled.multiple(model)) * filled.multiple(model)
    assert max(len(batch) for share in every for batch in share) <= most
    counts = {len(share) for share in every}
    assert max(counts) - min(counts) <= (at_once == 1)


@pytest.mark.parametrize("n", [2, 3])
def test_processes_have_as_many_tokens_not_as_many_rows(n, prompts, monkeypatch):
    every = shares(monkeypatch, prompts, range(N), n, 1000)
    work = [tokens(prompts, share) for share in every]
    assert max(work) < 1.2 * min(work)
    rows = [sum(map(len, share)) for share in every]
    assert max(rows) > 2 * min(rows)


@pytest.mark.parametrize("n", [2, 3])
def test_of_patched_runs_processes_have_as_many_rows(n, prompts, monkeypatch):
    """A patched run takes the same time whatever stands before its last tokens."""
    every = shares(monkeypatch, prompts, range(N), n, 1000, patched=True)
    rows = [sum(map(len, share)) for share in every]
    assert max(rows) - min(rows) <= 4


@pytest.mark.parametrize("rows", [[], [5], [9, 2, 7]])
def test_fewer_rows_than_processes_leave_some_without_work(rows, prompts, monkeypatch):
    every = shares(monkeypatch, prompts, rows, 5, 1000)
    assert sorted(row for share in every for batch in share for row in batch) == sorted(rows)
    assert [] in every


def test_tokens_are_those_that_are_run(model):
    ids = [[1, 2, 3, 4, 5, 6], [1, 2, 3, 9]]
    assert Prompts(model, ids, 1).own == [3, 1]
    assert Prompts(model, ids, 2).own == [4, 2]
    assert PlainPrompts(model, ids, 1).own == [6, 4]
