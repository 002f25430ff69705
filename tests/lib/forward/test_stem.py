"""Tails that reach into the shared prefix: their part there is run once for all prompts."""

from contextlib import ExitStack, contextmanager

import numpy as np
import pytest
import torch

from stages.lib import forward
from stages.lib.forward import batches, budget, check, hooks
from stages.lib.forward.plain import PlainPrompts
from stages.lib.forward.prompts import STEM, Prompts
from stages.lib.forward.site import MLP_OUT, RESID_POST, Z
from stages.lib.io.cli import UserError
from tests import tiny

ROUNDING = 1e-5
N_SHARED, TAIL = 30, 32
PREFIXES = [np.random.default_rng(seed).integers(0, 250, N_SHARED).tolist() for seed in (1, 2)]
# Own tokens: 3 to 40. Some tails reach far into the prefix, some a little, some not at all.
N_OWN = [3, 5, 5, 9, 14, 20, 33, 40]
FAR = [0, 1, 2, 3, 4]  # rows whose tails have at least STEM tokens of the prefix


@pytest.fixture(scope="module")
def model():
    return tiny.wrap(tiny.random_model())


def ids_of(prefix, seed):
    """Prompts that start with the prefix."""
    random = np.random.default_rng(seed)
    return [[*prefix, *random.integers(0, 250, n).tolist()] for n in N_OWN]


BASE, SOURCE = ids_of(PREFIXES[0], 3), ids_of(PREFIXES[1], 4)


def kinds(model, ids, prefix, site=Z):
    """The same prompts with and without shortcuts."""
    return [kind(model, ids, TAIL, site, prefix) for kind in (Prompts, PlainPrompts)]


def patches(model, *, one_first_layer, site=Z):
    """Patches of single units, of layers, and of units in several layers."""
    heads = np.zeros((5, model.n_layers, site.shape(model)[0]), bool)
    heads[0, 1, 0] = heads[1, 1] = heads[2, 1, -1] = heads[2, 2] = heads[2, 3, 0] = True
    heads[3, 2] = heads[3, 3] = heads[4, 3, 0] = True
    if one_first_layer:
        return heads[:3]
    heads[0, 0, 0] = True
    return heads


def positions(kind):
    """Which positions of each tail are patched: (n_prompts, TAIL)."""
    random = np.random.default_rng(5)
    first = np.array([len(ids) - TAIL for ids in BASE])[:, None]
    in_prompt = first + np.arange(TAIL)
    return {
        "everywhere": np.ones((len(BASE), TAIL), bool),
        "the same shared tokens": np.isin(in_prompt, [4, 5, 11, 29]),
        "own tokens alone": in_prompt >= N_SHARED,
        "other tokens in each prompt": random.random((len(BASE), TAIL)) < 0.3,
        "nowhere": np.zeros((len(BASE), TAIL), bool),
    }[kind]


PLACES = ("everywhere", "the same shared tokens", "own tokens alone")
PLACES += ("other tokens in each prompt", "nowhere")


def test_a_stem_is_long_or_it_is_none(model):
    prompts, plain = kinds(model, BASE, PREFIXES[0])
    assert [row for row in range(len(BASE)) if prompts.has_stem(row)] == FAR
    assert not any(map(plain.has_stem, range(len(BASE))))
    for row, ids in enumerate(BASE):
        n_stem = TAIL - (len(ids) - N_SHARED)
        assert prompts.has_stem(row) == (n_stem >= STEM)
        assert prompts.own[row] == (
            len(ids) - N_SHARED if n_stem >= STEM else max(TAIL, N_OWN[row])
        )
    assert not any(Prompts(model, BASE, 1, Z, PREFIXES[0]).has_stem(row) for row in FAR)


@pytest.mark.parametrize("site", [Z, MLP_OUT, RESID_POST], ids=lambda site: site.name)
@pytest.mark.parametrize("keep", [False, True])
def test_activations_of_the_whole_tail_are_those_of_plain_forwards(model, site, keep):
    prompts, plain = kinds(model, BASE, PREFIXES[0], site)
    rows = FAR if keep else [*range(len(BASE))]
    result, expected = prompts.run(rows, keep=keep), plain.run(rows)
    torch.testing.assert_close(result.z, expected.z, atol=10 * ROUNDING, rtol=0)
    torch.testing.assert_close(result.last, expected.last, atol=10 * ROUNDING, rtol=0)
    # "In a run with `keep`, the latter is valid at the last position only."
    layers = slice(None, -1) if keep else slice(None)
    torch.testing.assert_close(
        result.residual[layers], expected.residual[layers], atol=10 * ROUNDING, rtol=0
    )


@pytest.mark.parametrize("one_first_layer", [True, False])
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("site", [Z, MLP_OUT, RESID_POST], ids=lambda site: site.name)
def test_patched_runs_are_those_of_plain_forwards(model, site, place, one_first_layer):
    heads, lasts = patches(model, one_first_layer=one_first_layer, site=site), []
    at = torch.as_tensor(positions(place))[FAR]
    for base, source in zip(
        kinds(model, BASE, PREFIXES[0], site), kinds(model, SOURCE, PREFIXES[1], site), strict=True
    ):
        run = base.run(FAR, keep=True)
        lasts.append(base.patched(FAR, run, source.run(FAR).z, heads, at))
        lasts.append(run.last)
    torch.testing.assert_close(*lasts[::2], atol=10 * ROUNDING, rtol=0)
    changed = (lasts[0] - lasts[1]).abs().amax(dim=-1) > 100 * ROUNDING
    assert changed[:3].all() if place != "nowhere" else not changed.any()


def test_without_positions_the_whole_tail_is_patched(model):
    heads = patches(model, one_first_layer=True)
    base, source = (kinds(model, *some)[0] for some in ((BASE, PREFIXES[0]), (SOURCE, PREFIXES[1])))
    run, z = base.run(FAR, keep=True), source.run(FAR).z
    everywhere = torch.ones(len(FAR), TAIL, dtype=torch.bool)
    torch.testing.assert_close(
        base.patched(FAR, run, z, heads), base.patched(FAR, run, z, heads, everywhere)
    )


@pytest.mark.parametrize("place", PLACES)
def test_a_patcher_mixes_prompts_with_and_without_a_stem(model, answers, monkeypatch, place):
    results, at = [], positions(place)
    for exact in (True, False):
        monkeypatch.setattr(check, "_is_exact", lambda _, exact=exact: exact)
        patcher = forward.Patcher(model, answers, BASE, SOURCE, TAIL, prefixes=tuple(PREFIXES))
        assert isinstance(patcher.base, PlainPrompts) != exact
        results.append(patcher(patches(model, one_first_layer=False), "test", at=at).patched)
    np.testing.assert_allclose(*results, atol=ROUNDING)


def test_batches_have_a_stem_in_all_rows_or_in_none(model):
    prompts, _ = kinds(model, BASE, PREFIXES[0])
    cut = batches.of_like_length(prompts, range(len(BASE)), at_once=99)
    assert {tuple(sorted(set(rows))) for rows in cut} == {tuple(FAR), (5, 6, 7)}
    assert [prompts.width(rows) for rows in cut] == [16, TAIL]


@contextmanager
def counted(layer):
    """Collect the rows and tokens of each forward of a layer."""
    counts = []

    def count(_, args, kwargs):
        counts.append(tuple(hooks.given(args, kwargs).shape[:2]))

    with ExitStack() as stack:
        stack.callback(layer.register_forward_pre_hook(count, with_kwargs=True).remove)
        yield counts


def tokens_run(model, rows, at):
    """Rows and tokens that layer 2 processes in runs of one patch of layer 1."""
    heads = np.zeros((1, model.n_layers, model.n_heads), bool)
    heads[0, 1] = True
    base, source = (kinds(model, *some)[0] for some in ((BASE, PREFIXES[0]), (SOURCE, PREFIXES[1])))
    run, z = base.run(rows, keep=True), source.run(rows).z
    with counted(model.layers[2]) as counts:
        base.patched(rows, run, z, heads, torch.as_tensor(at)[rows])
    return counts


def test_shared_tokens_run_once_for_all_prompts_with_the_same_patch(model):
    n_own = 16  # of the longest, rounded up
    last = (len(FAR), n_own)
    assert tokens_run(model, FAR, positions("own tokens alone")) == [last]
    assert tokens_run(model, FAR, positions("nowhere")) == [last]
    first_patched = 4
    n_stem = -(-(N_SHARED - first_patched) // 16) * 16
    assert tokens_run(model, [2, 1], positions("the same shared tokens")) == [(1, n_stem), (2, 8)]
    (stems, _), (rows, _) = tokens_run(model, FAR, positions("other tokens in each prompt"))
    assert (stems, rows) == (len(FAR), len(FAR))


class TestPromptsShorterThanTheTail:
    """A tail that is longer than some prompts: nothing stands before a prompt's first token."""

    LONG = 60
    ROWS = tuple(range(len(BASE)))

    @pytest.mark.parametrize("prefixes", [PREFIXES, [[], []]], ids=["with stems", "without"])
    def test_runs_and_gradients_are_those_of_plain_forwards(self, model, prefixes):
        at = torch.zeros(len(BASE), self.LONG, dtype=torch.bool)
        for row, ids in enumerate(BASE):
            at[row, -min(len(ids), self.LONG) :] = True
        results = []
        for kind in (Prompts, PlainPrompts):
            base, source = (
                kind(model, ids, self.LONG, Z, prefix)
                for ids, prefix in zip((BASE, SOURCE), prefixes, strict=True)
            )
            run, z = base.run([*self.ROWS], keep=True), source.run([*self.ROWS]).z
            patched = base.patched([*self.ROWS], run, z, patches(model, one_first_layer=True), at)
            gradient = base.gradient([*self.ROWS], run, lambda logits: logits[:, 0] - logits[:, 1])
            inside = at[None, ..., None, None]
            results.append([patched, run.z * inside, gradient * inside, run.last])
        for ours, plain in zip(*results, strict=True):
            torch.testing.assert_close(ours, plain, atol=20 * ROUNDING, rtol=0)
        assert (results[0][0] - results[0][3]).abs().amax(dim=-1).min() > 100 * ROUNDING

    def test_a_patcher_allows_them_only_if_no_key_sets_the_positions(self, model, answers):
        forward.Patcher(model, answers, BASE, SOURCE, self.LONG, key=None)
        with pytest.raises(UserError, match="patch.positions: the last 60 positions asked for"):
            forward.Patcher(model, answers, BASE, SOURCE, self.LONG)


def test_a_batch_of_prompts_with_and_without_a_stem_is_right_for_any_tail(model):
    """Such as that of the check, which runs the shortest and the longest prompt together."""
    rows = [0, 1]
    for tail in (24, 25, 26, 27):
        base, source = ([ids[0], ids[-1]] for ids in (BASE, SOURCE))
        results = []
        for kind in (Prompts, PlainPrompts):
            ours = kind(model, base, tail, Z, PREFIXES[0])
            z = kind(model, source, tail, Z, PREFIXES[1]).run(rows).z
            run = ours.run(rows, keep=True)
            patched = ours.patched(rows, run, z, patches(model, one_first_layer=True))
            results.append(torch.cat([run.last[None], patched]))
        torch.testing.assert_close(*results, atol=10 * ROUNDING, rtol=0)
        assert check.shortcut_is_exact(model, base, tail, Z, PREFIXES[0])


def test_patches_out_of_order_are_refused(model):
    base = kinds(model, BASE, PREFIXES[0])[0]
    run, heads = base.run(FAR, keep=True), patches(model, one_first_layer=False)
    with pytest.raises(ValueError, match="order of their first layers"):
        base.patched(FAR, run, run.z, heads[::-1].copy())


def test_without_a_prefix_nothing_is_shared_if_a_prompt_is_shorter_than_the_tail(model):
    prompts = Prompts(model, [[1, 2, 3, *range(9, 9 + n)] for n in (20, 33, 25)], 30)
    assert prompts.prefix == []
    assert not any(map(prompts.has_stem, range(3)))


def forwards(model, answers, monkeypatch, at, budget_gb):
    """Results of patched runs, and the tokens of every forward of layer 3 in all rows."""
    monkeypatch.setenv(budget.VARIABLE, budget_gb)
    base, source = ([[*ids[0][:N_SHARED], 7 + i, 9] for i in range(16)] for ids in (BASE, SOURCE))
    patcher = forward.Patcher(model, answers, base, source, TAIL, prefixes=tuple(PREFIXES))
    heads = (
        np.eye(model.n_heads, dtype=bool)[:, None] & np.eye(model.n_layers, dtype=bool)[1, :, None]
    )
    with counted(model.layers[3]) as counts:
        results = patcher(heads, "test", at=at).patched
    return results, [n_rows * n_tokens for n_rows, n_tokens in counts]


def test_stems_are_part_of_the_memory_budget(model, answers, monkeypatch):
    """Each prompt is patched at other shared tokens, so that each has a stem of its own."""
    at = np.random.default_rng(0).random((16, TAIL)) < 0.3
    same = np.broadcast_to(at[0], at.shape)
    many, large = forwards(model, answers, monkeypatch, at, "1")
    few, small = forwards(model, answers, monkeypatch, at, "1e-3")
    np.testing.assert_array_equal(few, many)
    assert max(small) < max(large)
    _, shared = forwards(model, answers, monkeypatch, same, "1e-3")
    assert max(shared) < max(large)
    assert sum(shared) < sum(small)
