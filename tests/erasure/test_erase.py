"""LEACE leaves nothing linear of a label on the rows that it is fitted on; random erasure leaves it."""

import numpy as np
import pytest
import torch
from concept_erasure import LeaceFitter, OracleFitter
from sklearn.linear_model import LogisticRegression

from stages.erasure import erase, erased, moments

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
    return erase.random_direction(x.mean(-2), np.random.default_rng(5))


def oracle(x, label):
    return erase.oracle(moments.of(x, label))(x, label)


def in_batches(x, label, sizes):
    """Moments of the rows, added so many at a time."""
    summed = moments.Moments()
    for stop, size in zip(np.cumsum(sizes), sizes, strict=True):
        rows = slice(stop - size, stop)
        summed.add(x[..., rows, :], label[rows, None].astype(np.float64))
    return summed


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
        assert gap(oracle(x, LABEL)) < ROUNDING
        assert gap(oracle(x, LABEL[::-1].copy())) > 1

    def test_equals_the_package_and_changes_less_than_leace(self):
        x = activations()
        y = torch.from_numpy(LABEL.astype(np.float64))
        theirs = OracleFitter.fit(x[1, 1], y).eraser(x[1, 1], y)
        ours = oracle(x, LABEL)
        torch.testing.assert_close(ours[1, 1], theirs, rtol=0, atol=1e-10)
        assert (ours - x).square().sum() < (erase.leace(x, LABEL)(x) - x).square().sum()

    @pytest.mark.parametrize("label", [np.ones(N, bool), np.zeros(N, bool)])
    def test_one_label_is_no_label(self, label):
        assert torch.equal(oracle(activations(), label), activations())


class TestMoments:
    def test_are_those_of_numpy_whatever_the_batches(self):
        x = activations() * 1e3 + 1e5  # sums around 0 would lose digits
        label = LABEL.astype(float)
        for sizes in ([N], [1, N - 1], [50, 50, 20]):
            result = in_batches(x, LABEL, sizes)
            for i, j in ((0, 0), (2, 1)):
                rows = x[i, j].numpy()
                covariance = np.cov(np.column_stack([rows, label]).T, bias=True)
                scale = np.abs(covariance).max()
                np.testing.assert_allclose(result.mean[i, j], rows.mean(0), rtol=1e-14)
                np.testing.assert_allclose(
                    result.scatter[i, j] / N, covariance[:-1, :-1], atol=1e-12 * scale
                )
                np.testing.assert_allclose(
                    result.with_label(0)[i, j] / N, covariance[:-1, -1], atol=1e-12 * scale
                )

    def test_an_eraser_is_that_of_all_rows_at_once(self):
        x, other = activations(), activations(seed=1)
        whole, summed = erase.leace(x, LABEL), erase.fit(in_batches(x, LABEL, [7, 60, 53]))
        torch.testing.assert_close(summed(other), whole(other), rtol=0, atol=1e-9)
        assert gap(summed(x)) < 1e-9

    def test_what_does_not_vary_is_left_alone_in_batches_too(self):
        x = activations().float().double()
        x[0] = torch.tensor(0.1).double()
        left = erase.fit(in_batches(x, LABEL, [7, 60, 53]))(x)
        assert torch.equal(left[0], x[0])
        assert not torch.equal(left[1], x[1])


class TestRemoved:
    @pytest.mark.parametrize("kind", ["leace", "random", "oracle"])
    def test_is_the_change_of_the_rows_themselves(self, kind):
        fitted, x = activations(), activations(seed=1)
        summed = in_batches(x, LABEL, [100, 20])
        if kind == "oracle":
            made, left = erase.oracle(summed), oracle(x, LABEL)
        else:
            made = erase.leace(fitted, LABEL) if kind == "leace" else random_direction(fitted)
            left = made(x)
        variance = (x - x.mean(-2, keepdim=True)).square().sum()
        expected = (left - x).square().sum() / variance
        result = erase.removed([made.change(summed)], [summed])
        assert 0 < result == pytest.approx(float(expected), rel=1e-9)

    def test_nothing_of_nothing(self):
        x = torch.zeros_like(activations())
        eraser = erase.leace(x, LABEL)
        assert erase.removed([eraser.change(moments.of(x, LABEL))], [moments.of(x, LABEL)]) == 0


class TestErased:
    def z(self, seed, n=N):
        x = activations(seed=seed, places=(4, 3, 2)).float()
        return x.permute(0, 3, 1, 2, 4)[:, :n]  # layers, prompts, positions, heads, d_head

    def made(self, fitted, kind=erase.fit):
        summed = [moments.of(erase.rows(layer), LABEL) for layer in fitted]
        return erased.of([kind(one) for one in summed], summed, LABEL)

    def test_shape_type_and_each_layer_by_itself(self):
        fitted, z = self.z(0), self.z(1)
        result = self.made(fitted)(z, list(range(N)))
        assert (result.shape, result.dtype) == (z.shape, torch.float32)
        changed = fitted.clone()
        changed[2] = fitted[2].flip(0)
        again = self.made(changed)(z, list(range(N)))
        assert [torch.equal(a, b) for a, b in zip(result, again, strict=True)] == [
            True, True, False, True,
        ]  # fmt: skip

    @pytest.mark.parametrize("kind", [erase.fit, erase.oracle])
    def test_a_row_is_changed_alike_in_any_company(self, kind):
        z, change = self.z(1), self.made(self.z(0), kind)
        whole = change(z, list(range(N)))
        some = [5, 70, 70, 3]
        assert torch.equal(change(z[:, some], some), whole[:, some])

    def test_a_name_is_of_the_code_too(self, tmp_path, monkeypatch):
        """What an error once erased would come back after the error is mended."""
        before = self.made(self.z(0)).names
        (tmp_path / "erase.py").write_text("")
        monkeypatch.setattr(erased, "CODE", tmp_path)
        assert not {*before} & {*self.made(self.z(0)).names}

    def test_names_tell_maps_apart_and_labels_where_they_are_looked_at(self):
        leace, other = self.made(self.z(0)), self.made(self.z(1))
        moved = self.made(self.z(0), erase.oracle)
        assert len(leace.names) == len(moved.names) == N
        assert len({*leace.names}) == len({*other.names}) == 1
        assert not {*leace.names} & {*other.names}
        assert len({*moved.names}) == 2
        assert moved.names[0] == moved.names[1] != moved.names[2]  # labels 1, 1, 0
        assert self.made(self.z(0)).names == leace.names
