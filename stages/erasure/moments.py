"""Moments that erasers are fitted on: mean, covariance, covariance with labels; in batches."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Moments:
    """Sums over rows at each place, float64; rows come in batches and are not kept.

    Attributes
    ----------
    n : int
        Rows so far.
    largest, widest : Tensor of shape (...)
        Largest absolute value, and largest distance from the first batch's mean.
    """

    n = 0

    def add(self, x: Tensor, labels: NDArray[np.float64]) -> None:
        """Add rows of shape (..., n_rows, d), float64, and their labels, (n_rows, n_labels)."""
        if not self.n:
            self._start(x, labels.shape[1])
        centred = x - self._start_mean[..., None, :]
        self.n += x.shape[-2]
        self._sum += centred.sum(-2)
        self._squares += centred.mT @ centred
        self._labels += labels.sum(0)
        self._products += centred.mT @ torch.from_numpy(labels).to(x)
        self.largest = torch.maximum(self.largest, x.abs().amax((-2, -1)))
        self.widest = torch.maximum(self.widest, centred.abs().amax((-2, -1)))

    def _start(self, x: Tensor, n_labels: int) -> None:
        """Start empty sums around the first batch's mean, so that digits do not cancel."""
        self._start_mean = x.mean(-2)
        self._sum = torch.zeros_like(self._start_mean)
        self._squares = x.new_zeros(*self._sum.shape, x.shape[-1])
        self._labels = np.zeros(n_labels)
        self._products = x.new_zeros(*self._sum.shape, n_labels)
        self.largest = self.widest = x.new_zeros(x.shape[:-2])

    @property
    def mean(self) -> Tensor:
        """Mean of the rows: (..., d)."""
        return self._start_mean + self._sum / self.n

    @property
    def scatter(self) -> Tensor:
        """Sum of squares and products around the mean: (..., d, d)."""
        return self._squares - self._sum[..., :, None] * self._sum[..., None, :] / self.n

    def with_label(self, number: int) -> Tensor:
        """Return the sum of products with one of the labels, both around their means: (..., d)."""
        return self._products[..., number] - self._sum * self._labels[number] / self.n

    @property
    def n_labels(self) -> int:
        """Number of labels that came with each row."""
        return len(self._labels)

    def share(self, number: int) -> float:
        """Return the mean of one of the labels."""
        return float(self._labels[number]) / self.n


def of(x: Tensor, label: NDArray[np.bool_]) -> Moments:
    """Return the moments of rows (..., n_rows, d), float64, with one label, in one batch."""
    moments = Moments()
    moments.add(x, label[:, None].astype(np.float64))
    return moments
