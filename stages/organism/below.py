"""What enters the first layer that an adapter changes, kept: the layers below it are never trained.

Adapters of one depth that are trained on the same prompts share it, so that all but the first one
of them run the upper layers alone.
"""

from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from stages.lib.forward import hooks
from stages.lib.io.atomic import atomic


class Below:
    """A folder of what entered a layer, one file per step of training.

    Parameters
    ----------
    model : Module
        With an adapter attached.
    first : int
        First layer that the adapter changes.
    folder : Path
        Where folders of this kind are.
    settings : str
        All that decides what enters: the weights below, and the prompts of each step.
    """

    def __init__(self, model: Any, first: int, folder: Path, settings: str):
        self._layers = model.get_decoder().layers[: first + 1]
        self._folder = folder / f"below_{sha256(f'{first} {settings}'.encode()).hexdigest()[:16]}"

    @contextmanager
    def __call__(self, step: int) -> Generator[None]:
        """Skip the layers below in the forward of a step, if it is known what they give."""
        *below, first = self._layers
        file = self._folder / f"{step}.safetensors"
        known = load_file(file)["entering"] if file.is_file() else None
        entered: list[Tensor] = []

        def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Any] | None:
            if known is not None:
                return hooks.with_given(args, kwargs, known)
            entered.append(hooks.given(args, kwargs).detach())
            return None

        with ExitStack() as stack:
            for layer in below if known is not None else ():
                stack.enter_context(hooks.stand_in(layer, _return_input))
            stack.callback(first.register_forward_pre_hook(enter, with_kwargs=True).remove)
            yield
        if entered:
            self._folder.mkdir(parents=True, exist_ok=True)
            with atomic(file) as partial:
                save_file({"entering": torch.cat(entered)}, partial)


def _return_input(hidden_states: Tensor, *_: Any, **__: Any) -> Tensor:
    """Stand in for a layer that is skipped."""
    return hidden_states
