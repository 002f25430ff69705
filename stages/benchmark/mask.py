"""A mask learned by gradient: one score per head, whose order is good at every size at once."""

import numpy as np
import torch
from torch import Tensor

from stages.benchmark.bench import Bench, Values

BISECTIONS = 40


def learned(bench: Bench) -> Values:
    """Learn a mask of honest heads that restores the right answer, of whatever size.

    Each step takes one statement and a size k, drawn evenly; the mask is the sigmoid of the scores
    plus a threshold at which it adds up to k; Adam raises the right answer's log-odds.

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
    """Soft choice of `size` of some scores: their sigmoid after a threshold, which adds up to it.

    Its slopes are those of a sum that stays: what one score gains, others lose.
    """
    flat = scores.detach().double()
    low, high = -flat.max() - 50, -flat.min() + 50
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = torch.sigmoid(flat + middle).sum() > size
        low, high = torch.where(above, low, middle), torch.where(above, middle, high)
    threshold = (low + high) / 2
    # One step of Newton's method, which changes nothing but the slope of the threshold.
    value = torch.sigmoid(scores.double() + threshold)
    slope = (value * (1 - value)).sum().detach().clamp(min=torch.finfo(torch.float64).tiny)
    return torch.sigmoid(scores.double() + threshold - (value.sum() - size) / slope).to(scores)
