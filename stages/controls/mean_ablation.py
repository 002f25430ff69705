"""Mean z over statements, at the last positions of their prompts."""

import torch
from torch import Tensor

from stages.lib import forward
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.prompt_pairs import PromptPairs

AT_ONCE = 32  # prompts whose z is held in memory at a time


def mean_z(setting: Experiment, averaged_pairs: PromptPairs) -> Tensor:
    """Average z of every head over source runs, per position counted from the end.

    Parameters
    ----------
    setting : Experiment
        Model, site and number of last positions.
    averaged_pairs : PromptPairs
        Statements to average over, at least one.

    Returns
    -------
    Tensor of shape (n_layers, 1, n_positions, n_heads, d_head), float32
        Mean z; the axis of length 1 is to be expanded over statements.
    """
    total = None
    chunks = forward.capture(
        setting.lm,
        setting.answers,
        averaged_pairs.source,
        list(range(-setting.config.positions, 0)),
        AT_ONCE,
        "mean z",
        setting.site,
        averaged_pairs.source_prefix,
    )
    for chunk in chunks:
        part = torch.from_numpy(chunk["z"]).double().sum(dim=0)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("mean_z: no prompts")
    mean = (total / len(averaged_pairs.source)).float()  # (n_positions, n_layers, n_heads, d_head)
    return mean.transpose(0, 1)[:, None]
