"""Refuse NaN and infinity, and name the layer and the prompt at which they occur first.

They would pass for the answer "false". A NaN in a layer reaches the last position of every later
layer, so only the end of a run is checked; the origin is searched only if the check fails.
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
    """Refuse a run whose final output is not finite.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        The prompts that were run.
    run : Run
        Their results.

    Raises
    ------
    UserError
        Names the prompt, and the first layer that is not finite.
    """
    not_finite = _not_finite(run.last)
    if not not_finite.any():
        return
    row = int(not_finite.nonzero()[0])
    stream, site = (
        _not_finite(x[:, row, -1]).cpu().numpy() for x in (run.residual, run.z.flatten(3))
    )
    raise _error(prompts, rows[row], _first_place(stream, site, prompts.site.name))


def require_patched(prompts: "Prompts", rows: list[int], last: Tensor, patches: np.ndarray) -> None:
    """Refuse patched runs whose final output is not finite, although that of the base run is.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        The prompts that were run.
    last : Tensor of shape (n_patches, n_prompts, d_model)
        Output of the decoder at the last position.
    patches : ndarray of shape (n_patches, n_layers, n_units), bool
        Units of each patch.

    Raises
    ------
    UserError
        Names the prompt, and the layers that are patched.
    """
    not_finite = _not_finite(last)
    if not_finite.any():
        patch, row = (int(i) for i in not_finite.nonzero()[0])
        raise _error(prompts, rows[row], f"the run with {_layer_range(patches[patch])} patched")


def require_captured(prompts: "Prompts", rows: list[int], captured: dict[str, np.ndarray]) -> None:
    """Refuse activations that are not finite at one of the captured positions.

    Parameters
    ----------
    prompts : Prompts
        The prompts.
    rows : list of int
        The prompts that were run.
    captured : dict of str to ndarray of shape (n_prompts, n_positions, n_layers, ...)
        ``z`` and ``resid_post``.

    Raises
    ------
    UserError
        Names the prompt, and the first layer that is not finite.
    """
    stream, site = _not_finite_by_layer(captured["resid_post"]), _not_finite_by_layer(captured["z"])
    for not_finite in (stream, site):
        if not_finite.any():
            row, position = (int(i) for i in np.argwhere(not_finite)[0][:2])
            first = _first_place(stream[row, position], site[row, position], prompts.site.name)
            raise _error(prompts, rows[row], first)


def _not_finite(x: Tensor) -> Tensor:
    """Mark the vectors that hold NaN or infinity."""
    return ~torch.isfinite(x).all(dim=-1)


def _not_finite_by_layer(x: np.ndarray) -> np.ndarray:
    """Mark NaN or infinity by prompt, position and layer: three axes, bool."""
    return np.asarray(np.logical_not(np.isfinite(x)).reshape(*x.shape[:3], -1).any(axis=-1))


def _first_place(stream: np.ndarray, site: np.ndarray, name: str) -> str:
    """Name what is not finite first: the embedding, a layer's site or output, or the final norm."""
    if stream[0]:
        return "the embedding"
    for layer, (at_site, after) in enumerate(zip(site, stream[1:], strict=True)):
        if at_site or after:
            return f"{name} of layer {layer}" if at_site else f"the output of layer {layer}"
    return "the output of the final norm"


def _layer_range(patch: np.ndarray) -> str:
    """Name the first and last layer of a patch, (n_layers, n_units)."""
    first, *_, last = [*np.flatnonzero(patch.any(axis=1))] * 2
    return f"layer {first}" if first == last else f"layers {first} to {last}"


def _error(prompts: "Prompts", row: int, place: str) -> UserError:
    """Make the error that names the place, and quotes the prompt from its statement on."""
    lm, ids = prompts.lm, prompts.token_ids[row]
    text = " ".join(lm.tokenizer.decode(ids[prompts.starts[row] :]).split())
    quote = repr(text if len(text) <= QUOTED else f"{text[:QUOTED]} …")
    return UserError(
        f"params.yaml: model.dtype: {place} is not finite at the prompt {quote}, in {lm.dtype} "
        "(float16 overflows in some models, bfloat16 and float32 do not; else weights are damaged)"
    )
