"""Erase from activations what separates two labels: LEACE, an oracle, and controls. Pure maths.

Every head and every position has a map of its own. If the two labels have the same mean in each of
them, they have it in all of them together, so that no linear probe of any number of heads and
positions tells the fitted rows' labels apart; one map for all positions leaves nearly all of it.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from concept_erasure import optimal_linear_shrinkage
from torch import Tensor

from stages.erasure import moments
from stages.erasure.moments import Moments

RESOLVED = torch.finfo(torch.float32).eps  # what varies by less, next to its size, is rounding


@dataclass(frozen=True)
class Eraser:
    """Maps of rank one, one per place: ``x - left * (right · (x - mean))``.

    Attributes
    ----------
    mean, left, right : Tensor of shape (..., d), float64
        Where nothing is to be erased, `left` and `right` are 0.
    """

    mean: Tensor
    left: Tensor
    right: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """Erase from rows of shape (..., n_rows, d), seen before or not."""
        right = self.right[..., None, :]
        along = ((x - self.mean[..., None, :]) * right).sum(-1, keepdim=True)
        return x - along * self.left[..., None, :]

    def change(self, rows: Moments) -> float:
        """Squared change of rows, summed over all of them and over places."""
        apart = (rows.mean - self.mean) * rows.n**0.5
        around = torch.einsum("...i,...ij,...j->...", self.right, rows.scatter, self.right)
        along = around + (apart * self.right).sum(-1).square()
        return float((self.left.square().sum(-1) * along).sum())


def leace(x: Tensor, label: np.ndarray) -> Eraser:
    """Fit on rows (..., n_rows, d), float64, that are all at hand; see `fit`."""
    return fit(moments.of(x, label))


def fit(rows: Moments, number: int = 0) -> Eraser:
    """Fit the least change of x after which both labels have the same mean: LEACE.

    For two labels it is a closed form: with s the covariance of x and label and S that of x,
    ``x - s (s' S⁻¹ (x - mean)) / (s' S⁻¹ s)``. S is shrunk toward a multiple of the identity as the
    package does; the means are equal on the fitted rows whatever S is, and S decides how much else
    is changed and how well rows that were not fitted are erased.

    Parameters
    ----------
    rows : Moments
        Of the rows to fit on, at each place.
    number : int
        Of their label; both values of it must be there.

    Returns
    -------
    Eraser

    References
    ----------
    N. Belrose and others, LEACE: Perfect linear concept erasure in closed form, arXiv:2306.03819,
    theorems 3.1 and 4.3. The package concept-erasure fits one place at a time, hence this form of
    it; its ``constrain_cov_trace``, which gives up equal means where the variance would grow, is
    left out. The code of arXiv:2311.15131 erases the statements that it was fitted on, and by
    default with their labels (`oracle`).
    """
    mean, d = rows.mean, rows.mean.shape[-1]
    covariance = optimal_linear_shrinkage(rows.scatter / rows.n, rows.n)
    with_label = rows.with_label(number) / (rows.n - 1)
    # Where x does not vary there is nothing to erase, and its covariance has no inverse.
    varies = rows.widest > RESOLVED * rows.largest
    varies &= with_label.abs().amax(-1) > RESOLVED**2 * rows.largest
    safe = torch.where(varies[..., None, None], covariance, torch.eye(d).to(mean))
    root, failed = torch.linalg.cholesky_ex(safe)
    # Shrinkage of few rows can overshoot: then all the way, to the identity.
    root = torch.where(failed[..., None, None] > 0, torch.eye(d).to(mean), root)
    right = torch.cholesky_solve(with_label[..., None], root)[..., 0]
    scale = (with_label * right).sum(-1)
    right = right / torch.where(varies, scale, 1.0)[..., None]
    keep = varies[..., None].to(mean)
    return Eraser(mean, with_label * keep, right * keep)


def random_direction(mean: Tensor, random: np.random.Generator) -> Eraser:
    """Control: project out a direction drawn evenly, of equal rank, whatever the labels are.

    Parameters
    ----------
    mean : Tensor of shape (..., d), float64
        What is kept at each place.
    random : Generator
        One of the same seed gives the same directions.
    """
    direction = torch.from_numpy(random.normal(size=mean.shape)).to(mean)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    return Eraser(mean, direction, direction)


@dataclass(frozen=True)
class Oracle:
    """Gives both labels the same mean by moving rows by what their label tells.

    The labels of the changed rows must be known, so that this is a bound and no eraser.

    Attributes
    ----------
    gap : Tensor of shape (..., d), float64
        Mean of the rows of one label, less that of the other; 0 where there is one label only.
    share : float
        Mean of the label.

    References
    ----------
    arXiv:2306.03819, theorem 4.2; the default of the code of arXiv:2311.15131.
    """

    gap: Tensor
    share: float

    def __call__(self, x: Tensor, label: np.ndarray) -> Tensor:
        """Move rows of shape (..., n_rows, d) with these labels, (n_rows,), bool."""
        return x - self.gap[..., None, :] * torch.from_numpy(label - self.share).to(x)[:, None]

    def change(self, rows: Moments) -> float:
        """Squared change of the rows that it was fitted on, summed over them and over places."""
        return float(self.gap.square().sum()) * rows.n * self.share * (1 - self.share)


def oracle(rows: Moments, number: int = 0) -> Oracle:
    """Fit an `Oracle` to rows and the label of this number."""
    share = rows.share(number)
    spread = rows.n * share * (1 - share)
    gap = rows.with_label(number)
    return Oracle(gap / spread if spread else torch.zeros_like(gap), share)


def rows(z: Tensor) -> Tensor:
    """One layer's z by place, float64: (n_positions, n_heads, n_prompts, d_head)."""
    return z.permute(1, 2, 0, 3).double()


def back(x: Tensor) -> Tensor:
    """Undo `rows`, but for the type: (n_prompts, n_positions, n_heads, d_head)."""
    return x.permute(2, 0, 1, 3)


def removed(changes: Iterable[float], layers: Iterable[Moments]) -> float:
    """Squared change of z, layer by layer, as a share of its variance around its mean."""
    total = sum(float(one.scatter.diagonal(dim1=-2, dim2=-1).sum()) for one in layers)
    return sum(changes) / total if total else 0.0
