"""A mask learned by gradient: one score per head, trained for all sizes of head sets at once."""

import numpy as np
import torch
from torch import Tensor

from stages.benchmark.bench import Bench, Values

BISECTIONS = 40


def learned(bench: Bench) -> Values:
    """Learn head scores whose top k honest heads restore the right answer, for every size k.

    Each step takes the next statement and draws a size k uniformly. The mask is the sigmoid of the
    scores plus a threshold, chosen so that the mask sums to k. Adam raises the right answer's
    log-odds.

    References
    ----------
    Matryoshka attribution, arXiv:2609.25518.
    """
    random = np.random.default_rng(bench.section.seed)
    statements = [gated for _, gated in bench.gated()]
    scores = torch.zeros(bench.shape, requires_grad=True)
    optimizer = torch.optim.Adam([scores], lr=bench.section.mask_rate)
    for step in range(bench.section.mask_steps):
        size = int(random.integers(1, scores.numel()))
        gate = top(scores, size)
        loss = -statements[step % len(statements)](gate[None]).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return scores.detach().double().numpy()[None]


def top(scores: Tensor, size: float) -> Tensor:
    """Return the soft top-k mask of scores: their sigmoid, shifted so that it sums to `size`.

    Its gradient keeps the sum constant: where one entry rises, others fall.
    """
    flat = scores.detach().double()
    low, high = -flat.max() - 50, -flat.min() + 50
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = torch.sigmoid(flat + middle).sum() > size
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    threshold = (low + high) / 2
    # One Newton step: it keeps the threshold's value and gives the threshold its gradient.
    value = torch.sigmoid(scores.double() + threshold)
    slope = (value * (1 - value)).sum().detach().clamp(min=torch.finfo(torch.float64).tiny)
    return torch.sigmoid(scores.double() + threshold - (value.sum() - size) / slope).to(scores)
