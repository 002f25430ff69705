"""z averaged over statements, at the last positions of their prompts."""

import torch
from torch import Tensor

from stages.lib import forward
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs

AT_ONCE = 32  # prompts whose z is held at a time


def mean_z(setting: Experiment, averaged: PromptPairs) -> Tensor:
    """Average z of every head over source runs, position by position from the end.

    Parameters
    ----------
    setting : Experiment
        The model, at which site, and how many of the last positions.
    averaged : PromptPairs
        Statements to average over, at least one.

    Returns
    -------
    Tensor of shape (n_layers, 1, n_positions, n_heads, d_head), float32
        To be expanded over statements.
    """
    total = None
    chunks = forward.capture(
        setting.lm,
        setting.answers,
        averaged.source,
        list(range(-setting.config.positions, 0)),
        AT_ONCE,
        "mean z",
        setting.site,
        averaged.source_prefix,
    )
    for chunk in chunks:
        part = torch.from_numpy(chunk["z"]).double().sum(dim=0)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("mean_z: no prompts")
    mean = (total / len(averaged.source)).float()  # (n_positions, n_layers, n_heads, d_head)
    return mean.transpose(0, 1)[:, None]
