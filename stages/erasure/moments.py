"""What erasers are fitted on: mean, covariance, and covariance with labels, summed in batches."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Moments:
    """Sums over rows at each place, float64; rows come in batches, and none is held.

    Attributes
    ----------
    n : int
        Rows so far.
    largest, widest : Tensor of shape (...)
        Greatest size of a number, and of its distance from the first batch's mean.
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
        """Begin with nothing; sums are taken around the first batch's mean, to lose no digits."""
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
        """Sum of products with one of the labels, both around their means: (..., d)."""
        return self._products[..., number] - self._sum * self._labels[number] / self.n

    def share(self, number: int) -> float:
        """Mean of one of the labels."""
        return float(self._labels[number]) / self.n


def of(x: Tensor, label: NDArray[np.bool_]) -> Moments:
    """Sum over rows (..., n_rows, d), float64, all at once, with one label."""
    moments = Moments()
    moments.add(x, label[:, None].astype(np.float64))
    return moments
