"""An adapter's change of weights, by peft, and a model without a part of it or with that alone."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer

from stages.lib.grafting.units import Changes
from stages.lib.io.cli import UserError
from stages.lib.model.lm import LanguageModel
from stages.lib.patching.graft_names import ALONE
from stages.lib.weights.quiet import quiet

ADAPTER = "default"


def changes(lm: LanguageModel, folder: Path) -> Changes:
    """Return what an adapter adds to the weights of each linear map.

    Parameters
    ----------
    lm : LanguageModel
        A model of the adapter's architecture; its weights do not change.
    folder : Path
        Folder of the adapter.

    Returns
    -------
    dict of tuple of int and str to Tensor of shape (d_out, d_in), float64
        By layer and name of the map.

    Raises
    ------
    UserError
        If weights are offloaded and fetched for each forward, so that a change would be lost.
    """
    for number, layer in enumerate(lm.layers):
        if any(weight.is_meta for weight in layer.parameters()):
            raise UserError(
                f"grafts: layer {number} is kept on disk or in another memory, expected all "
                "weights in the memory of their devices, as grafts change them"
            )
    with quiet():
        adapted: Any = PeftModel.from_pretrained(lm.model, str(folder))  # pyright: ignore[reportUnknownMemberType]
    deltas: Changes = {}
    for number, layer in enumerate(lm.layers):
        for name, module in layer.named_modules():
            if isinstance(module, LoraLayer):
                module.lora_A.double()
                module.lora_B.double()
                delta = cast(Any, module).get_delta_weight(ADAPTER)
                deltas[number, name.rsplit(".", 1)[-1]] = delta.detach().cpu()
    adapted.unload()
    lm.model.requires_grad_(False)
    return deltas


@contextmanager
def grafted(lm: LanguageModel, changes: Changes, part: Changes, run: str) -> Generator[None]:
    """Within the context, remove a part of the change from a liar's weights, or all but that part.

    Parameters
    ----------
    lm : LanguageModel
        The liar, whose weights include all of the change. On exit they are restored exactly.
    changes, part : dict of tuple of int and str to Tensor
        All of the change, and the part of it.
    run : str
        ``without`` or ``alone``.
    """
    removed_change = dict(part)
    if run == ALONE:
        removed_change = {place: change - part.get(place, 0) for place, change in changes.items()}
    weights = {place: _weight(lm, *place) for place in removed_change}
    original_weights = {place: weight.detach().clone() for place, weight in weights.items()}
    try:
        with torch.no_grad():
            for place, weight in weights.items():
                weight.copy_(
                    original_weights[place].double() - removed_change[place].to(weight.device)
                )
        yield
    finally:
        with torch.no_grad():
            for place, weight in weights.items():
                weight.copy_(original_weights[place])


def _weight(lm: LanguageModel, layer: int, name: str) -> torch.Tensor:
    """Return the weights of a linear map of a layer."""
    modules = dict(lm.layers[layer].named_modules())
    return next(m.weight for path, m in modules.items() if path.rsplit(".", 1)[-1] == name)
