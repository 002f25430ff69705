"""Numbers that are none: NaN and infinity, by the layer and the prompt at which they come up first.

They would pass for the answer "false". NaN in a layer reaches the last position of every later one,
so that one look at the end of a run tells; where it came from is looked for only then.
"""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from stages.lib.io.cli import UserError

if TYPE_CHECKING:
    from stages.lib.forward.prompts import Prompts, Run

QUOTED = 60  # characters of a prompt that are quoted


def require_run(prompts: "Prompts", rows: list[int], run: "Run") -> None:
    """Refuse a run that does not end in numbers.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        Which of them were run.
    run : Run
        What they left behind.

    Raises
    ------
    UserError
        Naming the prompt, and the first layer that gives anything else.
    """
    lost = _lost(run.last)
    if not lost.any():
        return
    row = int(lost.nonzero()[0])
    stream, site = (_lost(x[:, row, -1]).cpu().numpy() for x in (run.residual, run.z.flatten(3)))
    raise _error(prompts, rows[row], _first(stream, site, prompts.site.name))


def require_patched(prompts: "Prompts", rows: list[int], last: Tensor, patches: np.ndarray) -> None:
    """Refuse patched runs that do not end in numbers, although the run that they start from does.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        Which of them were run.
    last : Tensor of shape (n_patches, n_prompts, d_model)
        What the decoder gives at the last position.
    patches : ndarray of shape (n_patches, n_layers, n_units), bool
        Where each patch writes.

    Raises
    ------
    UserError
        Naming the prompt, and the layers that are patched.
    """
    lost = _lost(last)
    if lost.any():
        patch, row = (int(i) for i in lost.nonzero()[0])
        raise _error(prompts, rows[row], f"the run with {_named(patches[patch])} patched")


def require_captured(prompts: "Prompts", rows: list[int], captured: dict[str, np.ndarray]) -> None:
    """Refuse activations that are no numbers at one of the positions that are kept.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        Which of them were run.
    captured : dict of str to ndarray of shape (n_prompts, n_positions, n_layers, ...)
        ``z`` and ``resid_post``.

    Raises
    ------
    UserError
        Naming the prompt, and the first layer that gives anything else.
    """
    stream, site = _lost_of(captured["resid_post"]), _lost_of(captured["z"])
    for lost in (stream, site):
        if lost.any():
            row, position = (int(i) for i in np.argwhere(lost)[0][:2])
            first = _first(stream[row, position], site[row, position], prompts.site.name)
            raise _error(prompts, rows[row], first)


def _lost(x: Tensor) -> Tensor:
    """Which vectors hold NaN or infinity."""
    return ~torch.isfinite(x).all(dim=-1)


def _lost_of(x: np.ndarray) -> np.ndarray:
    """Where, by prompt, position and layer, there is NaN or infinity: three axes, bool."""
    return np.asarray(np.logical_not(np.isfinite(x)).reshape(*x.shape[:3], -1).any(axis=-1))


def _first(stream: np.ndarray, site: np.ndarray, name: str) -> str:
    """Say what came first: embedding, or a layer by its site or its output; else the last norm."""
    if stream[0]:
        return "the embedding"
    for layer, (at_site, after) in enumerate(zip(site, stream[1:], strict=True)):
        if at_site or after:
            return f"{name} of layer {layer}" if at_site else f"the output of layer {layer}"
    return "what the last norm gives"


def _named(patch: np.ndarray) -> str:
    """The layers in which a patch, (n_layers, n_units), writes: the first and the last."""
    first, *_, last = [*np.flatnonzero(patch.any(axis=1))] * 2
    return f"layer {first}" if first == last else f"layers {first} to {last}"


def _error(prompts: "Prompts", row: int, what: str) -> UserError:
    """One line that names what is no number, and the prompt by its own part: the statement."""
    lm, ids = prompts.lm, prompts.token_ids[row]
    text = " ".join(lm.tokenizer.decode(ids[prompts.starts[row] :]).split())
    shown = repr(text if len(text) <= QUOTED else f"{text[:QUOTED]} …")
    return UserError(
        f"params.yaml: model.dtype: {what} is not finite at the prompt {shown}, in {lm.dtype} "
        "(float16 overflows in some models, bfloat16 and float32 do not; else weights are damaged)"
    )
