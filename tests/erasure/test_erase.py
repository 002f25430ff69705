"""LEACE leaves nothing linear of a label on the rows that it is fitted on; random erasure leaves it."""

import numpy as np
import pytest
import torch
from concept_erasure import LeaceFitter, OracleFitter
from sklearn.linear_model import LogisticRegression

from stages.erasure import erase

N, D = 120, 16
LABEL = np.arange(N) % 5 < 2  # 40 %: the majority rate is 0.6
MAJORITY = 0.6
ROUNDING = 1e-12  # of float64, in sums of a few hundred numbers of size 1


def activations(n=N, label=LABEL, seed=0, places=(3, 2)):
    """Rows whose directions have very different variances, with the label in one of them."""
    random = np.random.default_rng(seed)
    spread = np.random.default_rng(9).normal(size=(*places, D, D)) * np.logspace(0, -2, D)
    towards = np.random.default_rng(8).normal(size=(*places, 1, D))
    x = random.normal(size=(*places, n, D)) @ spread + label[:, None] * towards * 2
    return torch.from_numpy(x + 3)


def gap(x, label=LABEL):
    """Greatest difference between the means of both labels."""
    return float((x[..., label, :].mean(-2) - x[..., ~label, :].mean(-2)).abs().max())


def joined(x):
    """All places of a row side by side."""
    return x.movedim(-2, 0).flatten(1).numpy()


def probe(fitted, scored, label=LABEL, scored_label=LABEL):
    """Accuracy of a logistic probe."""
    model = LogisticRegression(C=100, max_iter=5000).fit(fitted, label)
    return model.score(scored, scored_label)


def random_direction(x):
    return erase.random_direction(x, np.random.default_rng(5))


class TestLeace:
    def test_means_are_equal_afterwards_and_not_before_nor_after_a_random_erasure(self):
        x = activations()
        assert gap(x) > 1
        assert gap(erase.leace(x, LABEL)(x)) < ROUNDING
        assert gap(random_direction(x)(x)) > 1
        permuted = np.random.default_rng(0).permutation(LABEL)
        assert gap(erase.leace(x, permuted)(x)) > 1
        assert gap(erase.leace(x, permuted)(x), permuted) < ROUNDING

    def test_no_probe_of_all_places_together_beats_the_majority_on_the_fitted_rows(self):
        x = activations()
        whole, left = joined(x), joined(erase.leace(x, LABEL)(x))
        assert probe(whole, whole) == 1.0
        assert probe(left, left) == MAJORITY
        kept = joined(random_direction(x)(x))
        assert probe(kept, kept) == 1.0

    def test_with_fewer_rows_than_dimensions_too(self):
        few, label = activations(n=10, label=LABEL[:10]), LABEL[:10]
        assert gap(few, label) > 1
        assert gap(erase.leace(few, label)(few), label) < ROUNDING

    def test_other_rows_keep_a_little_of_the_label(self):
        other = activations(seed=1)
        left = erase.leace(activations(), LABEL)(other)
        assert ROUNDING < gap(left) < gap(other) / 2
        assert probe(joined(other), joined(other)) == 1.0

    def test_one_map_for_several_places_leaves_the_label_in_each(self):
        x = activations(places=(2,))
        pooled = x.reshape(1, 2 * N, D)
        twice = np.tile(LABEL, 2)
        left = erase.leace(pooled, twice)(pooled).reshape(2, N, D)
        assert gap(left.reshape(1, 2 * N, D), twice) < ROUNDING
        assert gap(left) > 0.5

    def test_equals_the_package_at_every_place(self):
        x = activations()
        ours = erase.leace(x, LABEL)(activations(seed=1))
        for i in range(3):
            for j in range(2):
                y = torch.from_numpy(LABEL.astype(np.float64))
                theirs = LeaceFitter.fit(x[i, j], y, constrain_cov_trace=False).eraser
                torch.testing.assert_close(
                    ours[i, j], theirs(activations(seed=1)[i, j]), rtol=0, atol=1e-10
                )

    def test_changes_no_more_than_another_map_that_makes_the_means_equal(self):
        x = activations()
        change = (erase.leace(x, LABEL)(x) - x).square().sum()
        label = torch.from_numpy(LABEL)
        towards = (x[..., label, :].mean(-2) - x[..., ~label, :].mean(-2)).double()
        unit = towards / towards.norm(dim=-1, keepdim=True)
        orthogonal = erase.Eraser(x.mean(-2), unit, unit)(x)
        assert gap(orthogonal) < ROUNDING
        assert change < (orthogonal - x).square().sum()

    def test_rank_is_one_and_the_mean_stays(self):
        x = activations()
        for eraser in (erase.leace(x, LABEL), random_direction(x)):
            left = eraser(x)
            torch.testing.assert_close(left.mean(-2), x.mean(-2), rtol=0, atol=1e-9)
            assert set(torch.linalg.matrix_rank(left - x, atol=1e-9).flatten().tolist()) == {1}

    def test_what_does_not_vary_is_left_alone(self):
        x = activations()
        x[0] = 0
        x[1, 0] = torch.linspace(-1, 1, D)
        left = erase.leace(x, LABEL)(x)
        assert torch.equal(left[0], x[0])
        assert torch.equal(left[1, 0], x[1, 0])
        assert torch.isfinite(left).all()
        assert gap(left) < ROUNDING


class TestOracle:
    def test_means_are_equal_on_the_rows_whose_labels_it_takes(self):
        x = activations()
        assert gap(erase.oracle(x, LABEL)) < ROUNDING
        assert gap(erase.oracle(x, LABEL[::-1].copy())) > 1

    def test_equals_the_package_and_changes_less_than_leace(self):
        x = activations()
        y = torch.from_numpy(LABEL.astype(np.float64))
        theirs = OracleFitter.fit(x[1, 1], y).eraser(x[1, 1], y)
        ours = erase.oracle(x, LABEL)
        torch.testing.assert_close(ours[1, 1], theirs, rtol=0, atol=1e-10)
        assert (ours - x).square().sum() < (erase.leace(x, LABEL)(x) - x).square().sum()

    @pytest.mark.parametrize("label", [np.ones(N, bool), np.zeros(N, bool)])
    def test_one_label_is_no_label(self, label):
        assert torch.equal(erase.oracle(activations(), label), activations())


class TestErased:
    def z(self, seed, label=LABEL):
        x = activations(seed=seed, label=label, places=(4, 3, 2)).float()
        return x.permute(0, 3, 1, 2, 4)  # layers, prompts, positions, heads, d_head

    def test_shape_type_and_each_layer_by_itself(self):
        fitted, z = self.z(0), self.z(1)
        found = erase.erased(fitted, z, lambda x: erase.leace(x, LABEL))
        assert (found.shape, found.dtype) == (z.shape, torch.float32)
        changed = fitted.clone()
        changed[2] = fitted[2].flip(0)
        again = erase.erased(changed, z, lambda x: erase.leace(x, LABEL))
        assert [torch.equal(a, b) for a, b in zip(found, again, strict=True)] == [
            True, True, False, True,
        ]  # fmt: skip

    def test_share_removed(self):
        z = self.z(0)
        assert erase.removed(z, z) == 0
        assert erase.removed(z, z.mean(1, keepdim=True).expand_as(z)) == pytest.approx(1)
        one = erase.removed(z, erase.erased(z, z, random_direction))
        assert 0.2 / D < one < 5 / D  # of all dimensions alike it would be 1 / D
        assert erase.removed(torch.zeros_like(z), torch.zeros_like(z)) == 0
