"""Erase a label linearly from activations: LEACE, an oracle, and controls. Pure maths.

Every head and every position has its own map. If both labels have the same mean at each of them,
they have the same mean in all of them together, so that no linear probe on any heads and positions
tells the fitted rows' labels apart. One map for all positions would leave nearly all of the label.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from concept_erasure import optimal_linear_shrinkage
from torch import Tensor

from stages.erasure import moments
from stages.erasure.moments import Moments

RESOLVED = torch.finfo(torch.float32).eps  # variation below this share of the size is rounding


@dataclass(frozen=True)
class Eraser:
    """Rank-one maps, one per place (position and head): ``x - left * (right · (x - mean))``.

    Attributes
    ----------
    mean, left, right : Tensor of shape (..., d), float64
        Where nothing is to be erased, `left` and `right` are 0.
    """

    mean: Tensor
    left: Tensor
    right: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Erase from rows of shape (..., n_rows, d), fitted or held-out."""
        right = self.right[..., None, :]
        along = ((x - self.mean[..., None, :]) * right).sum(-1, keepdim=True)
        return x - along * self.left[..., None, :]

    def change(self, rows: Moments) -> float:
        """Return the squared change of rows, summed over rows and places."""
        offset = (rows.mean - self.mean) * rows.n**0.5
        scatter_along = torch.einsum("...i,...ij,...j->...", self.right, rows.scatter, self.right)
        along = scatter_along + (offset * self.right).sum(-1).square()
        return float((self.left.square().sum(-1) * along).sum())


def leace(x: Tensor, label: np.ndarray) -> Eraser:
    """Fit LEACE on rows (..., n_rows, d), float64, that are all in memory; see `fit_labels`."""
    return fit(moments.of(x, label))


def fit(rows: Moments) -> Eraser:
    """Fit LEACE for the first label of the rows; see `fit_labels`."""
    return fit_labels(rows)[0]


def fit_labels(rows: Moments) -> list[Eraser]:
    """Fit LEACE for each label: the least change of x that leaves both its values the same mean.

    Two labels have a closed form: with s the covariance of x and label, and S the covariance of x,
    ``x - s (s' S⁻¹ (x - mean)) / (s' S⁻¹ s)``. S is shrunk toward a multiple of the identity, as in
    the package. The means are equal on the fitted rows whatever S is; S decides how much else is
    changed and how well held-out rows are erased.

    Parameters
    ----------
    rows : Moments
        Moments of the rows to fit on, at each place; both values of each label must occur.

    Returns
    -------
    list of Eraser
        One per label.

    References
    ----------
    N. Belrose and others, LEACE: Perfect linear concept erasure in closed form, arXiv:2306.03819,
    theorems 3.1 and 4.3. The package concept-erasure fits one place at a time, hence this form of
    it; its ``constrain_cov_trace``, which gives up equal means where the variance would grow, is
    left out. The code of arXiv:2311.15131 erases the statements that it was fitted on, and by
    default with their labels (`oracle`).
    """
    # Where x does not vary there is nothing to erase, and its covariance has no inverse.
    varies = rows.widest > RESOLVED * rows.largest
    root = _root(rows, varies)
    return [_eraser(rows, number, varies, root) for number in range(rows.n_labels)]


def _root(rows: Moments, varies: Tensor) -> Tensor:
    """Return the Cholesky root of the shrunk covariance, which all labels share."""
    one = torch.eye(rows.mean.shape[-1]).to(rows.mean)
    covariance = optimal_linear_shrinkage(rows.scatter / rows.n, rows.n)
    root, failed = torch.linalg.cholesky_ex(torch.where(varies[..., None, None], covariance, one))
    # Shrinkage on few rows can overshoot: then S is replaced by the identity.
    return torch.where(failed[..., None, None] > 0, one, root)


def _eraser(rows: Moments, number: int, varies: Tensor, root: Tensor) -> Eraser:
    """Fit the eraser of one label."""
    mean = rows.mean
    with_label = rows.with_label(number) / (rows.n - 1)
    correlates = varies & (with_label.abs().amax(-1) > RESOLVED**2 * rows.largest)
    right = torch.cholesky_solve(with_label[..., None], root)[..., 0]
    scale = (with_label * right).sum(-1)
    right = right / torch.where(correlates, scale, 1.0)[..., None]
    keep = correlates[..., None].to(mean)
    return Eraser(mean, with_label * keep, right * keep)


def random_direction(mean: Tensor, random: np.random.Generator) -> Eraser:
    """Return a control of equal rank: project out a random direction, whatever the labels are.

    Parameters
    ----------
    mean : Tensor of shape (..., d), float64
        Mean at each place, which the projection keeps.
    random : Generator
        A generator of the same seed gives the same directions.
    """
    direction = torch.from_numpy(random.normal(size=mean.shape)).to(mean)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    return Eraser(mean, direction, direction)


@dataclass(frozen=True)
class Oracle:
    """Give both labels the same mean by shifting each row by an amount that its label sets.

    It needs the labels of the rows that it changes, so it is a bound and no eraser.

    Attributes
    ----------
    gap : Tensor of shape (..., d), float64
        Mean of the rows with label True minus that of label False; 0 where there is one label only.
    share : float
        Mean of the label.

    References
    ----------
    arXiv:2306.03819, theorem 4.2; the default of the code of arXiv:2311.15131.
    """

    gap: Tensor
    share: float

    def __call__(self, x: Tensor, label: np.ndarray) -> Tensor:
        """Shift rows of shape (..., n_rows, d) with these labels, (n_rows,), bool."""
        return x - self.gap[..., None, :] * torch.from_numpy(label - self.share).to(x)[:, None]

    def change(self, rows: Moments) -> float:
        """Return the squared change of the fitted rows, summed over rows and places."""
        return float(self.gap.square().sum()) * rows.n * self.share * (1 - self.share)


def oracle(rows: Moments, number: int = 0) -> Oracle:
    """Fit an `Oracle` to rows and the label of this number."""
    share = rows.share(number)
    spread = rows.n * share * (1 - share)
    gap = rows.with_label(number)
    return Oracle(gap / spread if spread else torch.zeros_like(gap), share)


def rows(z: Tensor) -> Tensor:
    """Return one layer's z by place, float64: (n_positions, n_heads, n_prompts, d_head)."""
    return z.permute(1, 2, 0, 3).double()


def from_rows(x: Tensor) -> Tensor:
    """Undo `rows`, except for the dtype: (n_prompts, n_positions, n_heads, d_head)."""
    return x.permute(2, 0, 1, 3)


def removed(changes: Iterable[float], layers: Iterable[Moments]) -> float:
    """Return the squared change of z in all layers, as a share of z's variance around its mean."""
    total = sum(float(layer.scatter.diagonal(dim1=-2, dim2=-1).sum()) for layer in layers)
    return sum(changes) / total if total else 0.0
