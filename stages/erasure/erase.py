"""Erase from activations what separates two labels: LEACE, an oracle, and controls. Pure maths.

Every head and every position has a map of its own. If the two labels have the same mean in each of
them, they have it in all of them together, so that no linear probe of any number of heads and
positions tells the fitted rows' labels apart; one map for all positions leaves nearly all of it.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from concept_erasure import optimal_linear_shrinkage
from torch import Tensor

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
        along = (x - self.mean[..., None, :]) @ self.right[..., :, None]
        return x - along * self.left[..., None, :]


Fit = Callable[[Tensor], Eraser]


def leace(x: Tensor, label: np.ndarray) -> Eraser:
    """Fit the least change of x after which both labels have the same mean: LEACE.

    For two labels it is a closed form: with s the covariance of x and label and S that of x,
    ``x - s (s' S⁻¹ (x - mean)) / (s' S⁻¹ s)``. S is shrunk toward a multiple of the identity as the
    package does; the means are equal on the fitted rows whatever S is, and S decides how much else
    is changed and how well rows that were not fitted are erased.

    Parameters
    ----------
    x : Tensor of shape (..., n_rows, d), float64
        Rows to fit on, at each place.
    label : ndarray of shape (n_rows,), bool
        Both labels must be there.

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
    n, d = x.shape[-2:]
    centred = x - x.mean(-2, keepdim=True)
    covariance = optimal_linear_shrinkage(centred.mT @ centred / n, n)
    with_label = centred.mT @ torch.from_numpy(label - label.mean()).to(x) / (n - 1)  # (..., d)
    # Where x does not vary there is nothing to erase, and its covariance has no inverse.
    largest = x.abs().amax((-2, -1))
    varies = centred.abs().amax((-2, -1)) > RESOLVED * largest
    varies &= with_label.abs().amax(-1) > RESOLVED**2 * largest
    safe = torch.where(varies[..., None, None], covariance, torch.eye(d).to(x))
    root, failed = torch.linalg.cholesky_ex(safe)
    # Shrinkage of few rows can overshoot: then all the way, to the identity.
    root = torch.where(failed[..., None, None] > 0, torch.eye(d).to(x), root)
    right = torch.cholesky_solve(with_label[..., None], root)[..., 0]
    scale = (with_label * right).sum(-1)
    right = right / torch.where(varies, scale, 1.0)[..., None]
    keep = varies[..., None].to(x)
    return Eraser(x.mean(-2), with_label * keep, right * keep)


def random_direction(x: Tensor, random: np.random.Generator) -> Eraser:
    """Control: project out a direction drawn evenly, of equal rank, whatever the labels are.

    Parameters
    ----------
    x : Tensor of shape (..., n_rows, d), float64
        Rows whose mean is kept.
    random : Generator
        One of the same seed gives the same directions.
    """
    direction = torch.from_numpy(random.normal(size=(*x.shape[:-2], x.shape[-1]))).to(x)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    return Eraser(x.mean(-2), direction, direction)


def oracle(x: Tensor, label: np.ndarray) -> Tensor:
    """Give both labels the same mean by shifting rows (..., n_rows, d) according to their label.

    The labels of the changed rows must be known, so that this is a bound and no eraser.

    References
    ----------
    arXiv:2306.03819, theorem 4.2; the default of the code of arXiv:2311.15131.
    """
    if label.all() or not label.any():
        return x
    gap = x[..., label, :].mean(-2, keepdim=True) - x[..., ~label, :].mean(-2, keepdim=True)
    return x - gap * torch.from_numpy(label - label.mean()).to(x)[:, None]


def erased(fitted: Tensor, z: Tensor, fit: Fit) -> Tensor:
    """Fit on some statements' z and erase that of others, layer by layer.

    Parameters
    ----------
    fitted, z : Tensor of shape (n_layers, n_prompts, n_positions, n_heads, d_head)
        Of the statements to fit on and of those to erase.
    fit : callable
        From rows (n_positions, n_heads, n_prompts, d_head), float64, to an `Eraser`.

    Returns
    -------
    Tensor of the shape and type of `z`
    """
    return torch.stack([back(fit(rows(a))(rows(b))).to(z) for a, b in zip(fitted, z, strict=True)])


def rows(z: Tensor) -> Tensor:
    """One layer's z by place, float64: (n_positions, n_heads, n_prompts, d_head)."""
    return z.permute(1, 2, 0, 3).double()


def back(x: Tensor) -> Tensor:
    """Undo `rows`, but for the type: (n_prompts, n_positions, n_heads, d_head)."""
    return x.permute(2, 0, 1, 3)


def removed(z: Tensor, changed: Tensor) -> float:
    """Squared change of z as a fraction of its variance around its mean over statements."""
    change = total = 0.0
    for a, b in zip(z, changed, strict=True):
        total += float((a - a.mean(0)).double().square().sum())
        change += float((b - a).double().square().sum())
    return change / total if total else 0.0
