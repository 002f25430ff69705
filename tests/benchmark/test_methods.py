"""Methods of localisation on tiny models in which one head, or a writer and a reader, is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from stages.benchmark import curves, mask, methods, schema
from stages.benchmark.bench import Bench
from stages.benchmark.config import BenchmarkConfig
from stages.benchmark.methods import METHODS
from stages.lib.patching import blocks
from stages.lib.patching.blocks import PersonaWording
from tests import placed, tiny
from tests.trace import relay

HEAD = (tiny.PLANTED_LAYER, tiny.PLANTED_HEAD)
BLIND = ("random", "weight_change")  # know nothing of patches
# The answer is a step of the head's z: slopes are 0 on both sides of it. And it is no direct one.
FLAT = ("integrated_gradients", "learned_mask", "logit_attribution", "probe_divergence")


def bench(model, **changes):
    base, source = (
        PersonaWording(f"You are {x}.", placed.QUESTION, "it is") for x in ("so L", "H")
    )
    setting, counterparts = placed.experiment(model, base, source)
    everywhere = [blocks.with_last(p) for p in counterparts]
    section = BenchmarkConfig(
        organisms=(), limit=None, report_limit=None, window=2, gradient_steps=10, mask_steps=60,
        mask_rate=0.3, probe_limit=None, stability_limit=None, doses=(0.0,), seed=0,
    )  # fmt: skip
    return Bench(
        setting=setting, everywhere=everywhere, probed=setting, adapter=None, changes={},
        section=replace(section, **changes),
    )  # fmt: skip


def changed(made, **changes):
    """The same bench with other settings."""
    return replace(made, section=replace(made.section, **changes))


@pytest.fixture(scope="module")
def one_head():
    return bench(tiny.planted_model())


@pytest.fixture(scope="module")
def by_chance():
    return bench(tiny.random_model(), gradient_steps=40)


@pytest.mark.parametrize("name", [name for name in METHODS if name not in BLIND + FLAT])
def test_a_planted_head_comes_first(one_head, name):
    scores = METHODS[name](one_head).mean(axis=0)
    assert scores.shape == one_head.shape
    if "attribution" in name:  # at the start of the line the slope has the wrong sign
        scores = np.abs(scores)
    top = scores[HEAD]
    assert top > 0
    others = np.delete(scores.ravel(), np.ravel_multi_index(HEAD, scores.shape))
    if name.startswith("window"):  # its layer
        assert top == scores.max()
    else:
        assert top > others.max() + 1e-3


@pytest.mark.parametrize("name", BLIND)
def test_what_does_not_look_at_the_model_does_not_point_at_it(one_head, name):
    scores = METHODS[name](one_head)
    other = bench(tiny.planted_model(answer=0.1))
    assert (scores == METHODS[name](other)).all()


def test_the_direction_of_truth_parts_where_the_persona_turns_it(one_head):
    scores = methods.probe_divergence(one_head)[0]
    assert scores.min() >= 0
    assert scores.max() <= 2


def test_gradients_along_the_line_add_up_to_what_all_heads_gain(by_chance):
    everything = np.ones((1, *by_chance.shape), bool)
    gained = by_chance.gains(everything, True, "all")[0]
    parts = methods.integrated_gradients(by_chance)
    np.testing.assert_allclose(parts.sum(axis=(1, 2)), gained, atol=0.02 * np.abs(gained).max())
    start = methods.attribution(by_chance, True).sum(axis=(1, 2))
    assert np.abs(start - gained).max() > np.abs(parts.sum(axis=(1, 2)) - gained).max()


def test_the_slope_at_no_patch_is_attribution_patching(by_chance):
    slopes = by_chance.slopes(np.zeros((1, *by_chance.shape)))[:, 0]
    np.testing.assert_allclose(slopes, methods.attribution(by_chance, True), atol=1e-4)


def test_statements_are_in_order(by_chance):
    single = methods.single_heads(by_chance, True)
    patches = np.zeros((1, *by_chance.shape), bool)
    patches[0, 2, 1] = True
    np.testing.assert_allclose(single[:, 2, 1], by_chance.gains(patches, True, "one")[0], atol=1e-9)


def test_what_is_direct_goes_through_no_mlp():
    model = tiny.random_model()
    torch.nn.init.zeros_(model.get_parameter("model.layers.3.mlp.down_proj.weight"))
    without = bench(model)
    direct, every = methods.logit_attribution(without), methods.attribution(without, True)
    np.testing.assert_allclose(direct[:, -1], every[:, -1], atol=1e-4)
    assert np.abs(direct[:, :-1] - every[:, :-1]).max() > 1e-2


def test_a_writer_that_a_later_head_reads_adds_nothing_directly():
    relayed = bench(relay.relay_model())
    direct = methods.logit_attribution(relayed).mean(axis=0)
    through = methods.attribution(relayed, True).mean(axis=0)
    writer = (relay.WRITER, tiny.PLANTED_HEAD)
    assert through[writer] > 0.01
    assert abs(direct[writer]) < 1e-4


def test_dropping_a_layer_keeps_every_head_that_has_a_path(by_chance):
    scores = methods.grad_drop(by_chance)
    plain = np.abs(methods.attribution(by_chance, True))
    assert (scores >= 0).all()
    last = by_chance.shape[0] - 1  # nothing is above it: only its own layer is dropped
    np.testing.assert_allclose(scores[:, last], plain[:, last], atol=1e-4)


def test_leaving_out_is_in_the_best_window_alone(one_head):
    scores = methods.leave_one_out(one_head).mean(axis=0)
    assert (scores.any(axis=1).sum()) <= one_head.section.window


def test_greedy_stops_where_the_gain_is_there(one_head):
    scores = methods.greedy(one_head)[0]
    assert scores[HEAD] == 1.0  # all was missing before it
    assert (scores > 0.05).sum() == 1


class TestMask:
    def test_its_first_heads_restore_more_than_those_at_random(self, by_chance):
        learned = changed(by_chance, mask_steps=80, mask_rate=0.1)
        orders = {"mask": mask.learned(learned)[0]}
        orders |= {
            f"random {seed}": methods.random(changed(by_chance, seed=seed))[0] for seed in range(5)
        }
        patches = np.stack([schema.first(order, 4) for order in orders.values()])
        gained, *others = by_chance.gains(patches, True, "sets").mean(axis=1)
        assert gained > max(others)

    @pytest.mark.parametrize("size", [1, 3, 7.5, 15])
    def test_it_adds_up(self, size):
        scores = torch.randn(4, 4, generator=torch.Generator().manual_seed(0)).requires_grad_()
        gate = mask.top(scores, size)
        assert float(gate.detach().sum()) == pytest.approx(size, abs=1e-4)
        order = scores.detach().ravel().argsort()
        assert (gate.detach().ravel()[order].diff() >= 0).all()
        (slope,) = torch.autograd.grad((gate * torch.arange(16.0).reshape(4, 4)).sum(), scores)
        assert abs(float(slope.sum())) < 1e-4  # what one gains, others lose
        assert slope.abs().max() > 1e-3

    def test_its_slope_is_that_of_finite_differences(self):
        scores = torch.randn(6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
        weights = torch.arange(6.0, dtype=torch.float64)
        scores.requires_grad_()
        (slope,) = torch.autograd.grad((mask.top(scores, 2.5) * weights).sum(), scores)
        step = torch.zeros_like(scores)
        step[2] = 1e-4
        up, down = ((mask.top(scores.detach() + s * step, 2.5) * weights).sum() for s in (1, -1))
        assert float(up - down) / 2e-4 == pytest.approx(float(slope[2]), rel=1e-3)

    def test_the_same_seed_gives_the_same_mask(self, one_head):
        short = changed(one_head, mask_steps=4)
        assert (mask.learned(short) == mask.learned(short)).all()
        assert (mask.learned(short) != mask.learned(changed(short, seed=1))).any()


class TestCost:
    def test_passes_are_counted(self, one_head):
        n, n_heads = len(one_head.everywhere), int(np.prod(one_head.shape))
        _, cost = one_head.timed(METHODS["single_heads"])
        assert cost.forwards == (n_heads + 2) * n
        assert cost.backwards == 0
        _, cost = one_head.timed(METHODS["integrated_gradients"])
        assert cost.backwards == 10 * n
        _, cost = one_head.timed(METHODS["random"])
        assert (cost.forwards, cost.backwards) == (0, 0)


class TestSets:
    def test_the_first_heads_of_an_order(self):
        order = np.array([[0.0, 3.0], [3.0, 1.0]])
        assert np.argwhere(schema.first(order, 1)).tolist() == [[0, 1]]
        assert np.argwhere(schema.first(order, 3)).tolist() == [[0, 1], [1, 0], [1, 1]]
        assert not schema.first(order, 0).any()

    def test_a_head_that_is_enough_has_no_rival(self, one_head):
        order = METHODS["single_heads"](one_head).mean(axis=0)
        table, sets = curves.rivals(one_head, one_head, order)
        assert sets == {"first": [list(HEAD)]}
        assert table["n_heads"].unique().to_list() == [1]

    def test_curves_hold_every_size_of_every_method_and_both_runs(self, one_head):
        order = METHODS["single_heads"](one_head).mean(axis=0)
        table = curves.run(one_head, {"attribution": order, "reversed": -order})
        n = len(one_head.everywhere)
        sizes = table.filter(method="attribution")["n_heads"].unique().sort().to_list()
        assert sizes == [1, 2, 4, 10, 20]
        assert len(table) == n * (2 + 2 * len(sizes))
        one = table.filter(method="attribution", n_heads=1)["log_odds"].to_numpy()
        other = table.filter(method="reversed", n_heads=1)["log_odds"].to_numpy()
        base, source = (
            table.filter(method=name)["log_odds"].to_numpy() for name in ("base", "source")
        )
        np.testing.assert_allclose(one, source, atol=1e-3)
        np.testing.assert_allclose(other, base, atol=1e-3)
