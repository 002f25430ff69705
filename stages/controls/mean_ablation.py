"""z averaged over statements, at the last positions of their prompts."""

import torch
from torch import Tensor

from stages.lib import forward
from stages.lib.forward.site import Site, Z
from stages.lib.model.lm import LanguageModel
from stages.lib.model.readout import Answers

AT_ONCE = 64  # prompts whose z is held at a time


def mean_z(
    lm: LanguageModel,
    answers: Answers,
    token_ids: list[list[int]],
    n_positions: int,
    site: Site = Z,
    prefix: list[int] | None = None,
) -> Tensor:
    """Average z of every head over prompts, position by position from the end.

    Parameters
    ----------
    lm : LanguageModel
        The model.
    answers : Answers
        Tokens of the readout.
    token_ids : list of list of int
        Prompts of one persona, at least one.
    n_positions : int
        How many of the last positions.
    site : Site
        Where in each layer.
    prefix : list of int or None
        What the prompts start with; see `forward.capture`.

    Returns
    -------
    Tensor of shape (n_layers, 1, n_positions, n_heads, d_head), float32
        To be expanded over statements.
    """
    positions = list(range(-n_positions, 0))
    total = None
    chunks = forward.capture(lm, answers, token_ids, positions, AT_ONCE, "mean z", site, prefix)
    for chunk in chunks:
        part = torch.from_numpy(chunk["z"]).double().sum(dim=0)
        total = part if total is None else total + part
    if total is None:
        raise ValueError("mean_z: no prompts")
    mean = (total / len(token_ids)).float()  # (n_positions, n_layers, n_heads, d_head)
    return mean.transpose(0, 1)[:, None]
