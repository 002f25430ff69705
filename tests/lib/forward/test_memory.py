"""A run is made once: its answers are remembered by all that they depend on, and by nothing else."""

import sqlite3
from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.lib import forward
from stages.lib.forward import answers as forward_answers
from stages.lib.forward import budget, memory
from stages.lib.forward import check as checks
from stages.lib.forward.prompts import Prompts
from stages.lib.forward.site import RESID_POST
from stages.lib.io import cli, store
from tests import tiny

TAIL, N = 4, 20


@pytest.fixture(scope="module")
def model():
    return replace(tiny.wrap(tiny.random_model(seed=5)), identity="random 5")


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    memory._seen.clear()
    cli.counts.clear()


def ids(seed, n=N):
    random = np.random.default_rng(seed)
    return [[7, 8, 9, *random.integers(20, 250, 6 + i % 3).tolist()] for i in range(n)]


def heads(model, *places):
    patches = np.zeros((len(places), model.n_layers, model.n_heads), bool)
    for patch, some in zip(patches, places, strict=True):
        for layer, head in some:
            patch[layer, head] = True
    return patches


def counted():
    """Runs remembered and computed since the last look, as a process of its own would say."""
    counts = cli.counts["remembered"], cli.counts["computed"]
    cli.counts.clear()
    memory._seen.clear()
    return counts


BASE, SOURCE = ids(1), ids(2)


def run(
    model, answers, base=BASE, source=SOURCE, n_tail=TAIL, patches=None, z=None, at=None, **how
):
    if patches is None:
        patches = heads(model, [(1, 0)], [(0, 1), (2, 2)])
    patcher = forward.Patcher(model, answers, base, source, n_tail, **how)
    return patcher(patches, "test", z, at)


def same(a, b):
    for name in ("base", "source", "patched"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)


def test_what_is_remembered_is_what_is_computed(model, answers, monkeypatch):
    first = run(model, answers)
    assert counted() == (0, 4 * N)
    monkeypatch.setattr(Prompts, "run", lambda *_: pytest.fail("a model ran"))
    same(run(model, answers), first)
    assert counted() == (4 * N, 0)
    monkeypatch.undo()
    store.clear()
    same(run(model, answers), first)


def test_a_model_without_an_identity_is_never_remembered(model, answers):
    nobody = replace(model, identity="")
    run(nobody, answers)
    run(nobody, answers)
    assert counted() == (0, 0)
    assert not store.file().exists()


def test_statements_that_come_go_and_change_cost_their_own_runs(model, answers):
    first = run(model, answers)
    counted()
    base, source = ids(11, N + 1), ids(12, N + 1)
    base[1:], source[1:] = BASE, SOURCE
    more = run(model, answers, base, source)
    assert counted() == (4 * N, 4)
    np.testing.assert_array_equal(more.patched[:, 1:], first.patched)
    run(model, answers, BASE[2:], SOURCE[2:])
    assert counted() == (4 * (N - 2), 0)
    changed = [*BASE[:-1], [*BASE[-1][:-1], 19]]
    run(model, answers, changed)
    assert counted() == (4 * N - 3, 3)  # its source run is as it was


def test_a_patch_more_costs_its_own_runs(model, answers):
    first = run(model, answers, patches=heads(model, [(1, 0)]))
    counted()
    both = run(model, answers, patches=heads(model, [(2, 1)], [(1, 0)]))
    assert counted() == (3 * N, N)
    np.testing.assert_array_equal(both.patched[1], first.patched[0])


def test_a_patch_that_is_there_twice_or_writes_nothing_is_not_run(model, answers):
    result = run(model, answers, patches=heads(model, [], [(1, 0)], [(1, 0)]))
    assert counted() == (0, 3 * N)
    np.testing.assert_array_equal(result.patched[0], result.base)
    np.testing.assert_array_equal(result.patched[1], result.patched[2])


@pytest.mark.parametrize("at_once", [1, 7, 8])
def test_how_many_prompts_are_looked_up_at_once_changes_nothing(
    at_once, model, answers, monkeypatch
):
    first = run(model, answers)
    store.clear()
    monkeypatch.setattr("stages.lib.forward.patcher.AT_ONCE", at_once)
    same(run(model, answers), first)
    counted()
    same(run(model, answers), first)
    assert counted() == (4 * N, 0)


def test_the_same_statement_twice(model, answers):
    once = run(model, answers)
    double = run(model, answers, [*BASE, BASE[0]], [*SOURCE, SOURCE[0]])
    np.testing.assert_array_equal(double.patched[:, -1], once.patched[:, 0])
    store.clear()
    same(run(model, answers, [*BASE, BASE[0]], [*SOURCE, SOURCE[0]]), double)


def otherwise():
    """What a run depends on, each changed, and how many kinds of runs stay as they were."""
    somewhere = np.ones((N, TAIL), bool)
    somewhere[:, 0] = False
    return {
        "source": ({"source": ids(3)}, 1),
        "base": ({"base": ids(3)}, 1),
        "positions": ({"n_tail": TAIL - 1}, 0),
        "site": ({"site": RESID_POST}, 0),
        "prefix of the base": ({"prefixes": ([7, 8], [7, 8, 9])}, 1),
        "what is written": ({}, 2),
        "where": ({"at": somewhere}, 2),
    }


@pytest.mark.parametrize("name", otherwise())
def test_what_a_run_depends_on_is_in_its_key(name, model, answers):
    change, kept = otherwise()[name]
    run(model, answers, prefixes=([7, 8, 9], [7, 8, 9]))
    counted()
    how = {"prefixes": ([7, 8, 9], [7, 8, 9])} | change
    if name == "what is written":
        how["z"] = torch.ones(model.n_layers, N, TAIL, model.n_heads, model.d_head)
    if name == "site":
        how["patches"] = np.eye(3, model.n_layers, dtype=bool)[:2, :, None]
    run(model, answers, **how)
    assert counted() == (kept * N, (4 - kept) * N)
    run(model, answers, **how)
    assert counted() == (4 * N, 0)


@pytest.mark.parametrize("what", ["model", "answers", "version", "code", "threads"])
def test_what_all_runs_depend_on_is_in_every_key(what, model, answers, monkeypatch):
    run(model, answers)
    counted()
    if what == "model":
        model = replace(model, identity="another")
    if what == "answers":
        answers = replace(answers, true_ids=answers.true_ids[:1], false_ids=(5,))
    if what == "version":
        monkeypatch.setattr(memory, "version", lambda _: "0")
    if what == "code":
        monkeypatch.setattr(memory, "_code", lambda: "other")
    if what == "threads":
        monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    run(model, answers)
    assert counted() == (0, 4 * N)


def test_another_dtype_has_other_keys(model):
    double = replace(model, model=tiny.random_model(seed=5).double())
    assert memory.key(double, {}) != memory.key(model, {})


def test_a_damaged_run_is_computed_again(model, answers, capsys):
    first = run(model, answers)
    values = store.read(key for row in keys(model, answers) for key in row)
    damaged = next(iter(values))
    counted()
    with sqlite3.connect(store.file()) as database:
        database.execute("UPDATE kept SET value = x'00' WHERE key = ?", (damaged,))
    store._printed_lines.clear()
    same(run(model, answers), first)
    assert counted() == (4 * N - 1, 1)
    assert f"1 of {4 * N} values damaged; computed again" in capsys.readouterr().err


def keys(model, answers):
    patcher = forward.Patcher(model, answers, BASE, SOURCE, TAIL)
    patches = [np.packbits(p).tobytes() for p in heads(model, [(1, 0)], [(0, 1), (2, 2)])]
    return [patcher._keys(row, patches, None, None) for row in range(N)]


def test_answers_and_activations_share_their_runs(model, answers):
    list(forward.capture(model, answers, BASE, [-1], 3, "test", prefix=[7, 8, 9]))
    assert counted() == (0, N)
    (read,) = forward_answers.read(model, answers, [BASE], "test", [[7, 8, 9]])
    assert counted() == (N, 0)
    store.clear()
    (again,) = forward_answers.read(model, answers, [BASE], "test", [[7, 8, 9]])
    for name, array in read.items():
        np.testing.assert_array_equal(array, again[name])
    assert counted() == (0, N)


def test_a_stopped_sweep_goes_on_where_it_was(model, answers, monkeypatch):
    """One prompt per batch: what was computed before the end is there, and nothing else is lost."""
    whole = run(model, answers)
    store.clear()
    counted()
    made, keep = [], memory.Memory.keep

    def stopped(self, names, values):
        keep(self, names, values)
        made.append(len(set(names)))
        if len(made) == 5:
            raise KeyboardInterrupt

    with monkeypatch.context() as changed, pytest.raises(KeyboardInterrupt):
        changed.setenv("MEMORY_BUDGET_GB", "1e-9")
        changed.setattr("stages.lib.forward.budget.rows_to_unembed", lambda _: 1)
        changed.setattr(memory.Memory, "keep", stopped)
        run(model, answers)
    counted()
    same(run(model, answers), whole)
    assert counted() == (sum(made), 4 * N - sum(made))


def test_a_check_holds_for_all_prompts_that_are_no_longer(model, answers, monkeypatch):
    looks = []
    exact = checks._is_exact
    monkeypatch.setattr(checks, "_is_exact", lambda *given: looks.append(1) or exact(*given))
    run(model, answers)
    n = len(looks)
    assert n in (1, 2)
    run(model, answers, [row[-8:] for row in BASE], [row[-8:] for row in SOURCE])
    assert len(looks) == n
    run(model, answers, [row * 2 for row in BASE])
    assert len(looks) == n + 1


class Doubled:
    """A change of the source's z."""

    def __init__(self, factors):
        self.factors = torch.tensor(factors)
        self.names = [store.digest(str(factor).encode()) for factor in factors]
        self.calls = 0

    def __call__(self, z, rows):
        self.calls += 1
        return z * self.factors[rows][:, None, None, None]


def test_a_change_of_the_sources_z_gives_the_runs_of_what_it_gives(model, answers):
    factors = [1.0 + i % 3 for i in range(N)]
    z = forward.Patcher(model, answers, BASE, SOURCE, TAIL).z("z")[1]
    given = z * torch.tensor(factors)[:, None, None, None]
    changed = run(model, answers, z=Doubled(factors))
    same(changed, run(model, answers, z=given))
    assert not np.array_equal(changed.patched, run(model, answers).patched)


def test_changed_runs_are_remembered_by_the_name_of_the_change_and_without_z(model, answers):
    factors = [2.0] * N
    first = run(model, answers, z=Doubled(factors))
    counted()
    change = Doubled(factors)
    same(run(model, answers, z=change), first)
    assert counted() == (4 * N, 0)
    assert change.calls == 0
    run(model, answers, z=Doubled([3.0, *factors[1:]]))
    assert counted()[1] == 2  # both patches of one statement


def test_runs_are_kept_between_calls_as_far_as_there_is_room(model, answers, monkeypatch):
    """What has no room is made again, and the answers do not tell."""
    monkeypatch.setattr(budget, "ENOUGH", {"cpu": 1})  # as few prompts in a batch as may be
    unnamed, patches = replace(model, identity=""), heads(model, [(1, 0)], [(0, 1), (2, 2)])
    original, made = Prompts.run, []
    monkeypatch.setattr(
        Prompts,
        "run",
        lambda self, rows, keep=False: made.append(rows) or original(self, rows, keep),
    )

    def again(room):
        patcher = forward.Patcher(unnamed, answers, BASE, SOURCE, TAIL, keep=True)
        patcher._room = room
        first = patcher(patches, "first")
        made.clear()
        same(patcher(patches, "again"), first)
        return first, len(made), room - patcher._room

    first, n_made, taken = again(1e9)
    assert n_made == 0
    none, all_made, nothing = again(0)
    some, some_made, less = again(taken / 2)
    assert (all_made, nothing) == (4, 0)  # two batches, of base and of source
    assert (some_made, less) == (2, taken / 2)
    same(none, first)
    same(some, first)
    assert 0 < forward.Patcher(unnamed, answers, BASE, SOURCE, TAIL, keep=True)._room < 1e15


X86 = """processor\t: 0
vendor_id\t: GenuineIntel
cpu family\t: 6
model\t\t: 207
model name\t: Intel(R) Xeon(R) Processor
stepping\t: 2
cpu MHz\t\t: 2300.0
flags\t\t: fpu avx2 avx512f

processor\t: 1
model\t\t: 1
"""
ARM = "processor\t: 0\nBogoMIPS\t: 50.0\nFeatures\t: asimd\nCPU part\t: 0xd0c\n"


class TestProcessor:
    """Virtual machines on hosts of several generations share one generic name."""

    def facts(self, text, tmp_path, monkeypatch):
        monkeypatch.setattr(memory, "CPUINFO", tmp_path / "cpuinfo")
        memory.CPUINFO.write_text(text)
        return memory._processor()

    @pytest.mark.parametrize(
        ("old", "new"),
        [("207", "143"), (": 2\n", ": 3\n"), (" avx512f", ""), ("GenuineIntel", "AuthenticAMD")],
    )
    def test_another_processor_of_the_same_name_has_other_runs(
        self, old, new, tmp_path, monkeypatch
    ):
        here = self.facts(X86, tmp_path, monkeypatch)
        assert "model name: Intel(R) Xeon(R) Processor" in here
        assert self.facts(X86.replace(old, new, 1), tmp_path, monkeypatch) != here

    def test_a_clock_rate_and_other_cores_do_not_matter(self, tmp_path, monkeypatch):
        here = self.facts(X86, tmp_path, monkeypatch)
        assert self.facts(X86.replace("2300", "3100"), tmp_path, monkeypatch) == here
        assert self.facts(X86.split("\n\n")[0], tmp_path, monkeypatch) == here

    def test_other_architectures_and_systems_have_a_name_too(self, tmp_path, monkeypatch):
        assert self.facts(ARM, tmp_path, monkeypatch) == ["Features: asimd", "CPU part: 0xd0c"]
        monkeypatch.setattr(memory.platform, "processor", lambda: "power")
        assert self.facts("processor\t: 0\nclock\t: 3\n", tmp_path, monkeypatch) == ["power"]
        monkeypatch.setattr(memory, "CPUINFO", tmp_path / "missing")
        assert memory._processor() == ["power"]
