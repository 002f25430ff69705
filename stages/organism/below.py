"""What enters the first layer that an adapter changes, kept: the layers below it are never trained.

Adapters of one depth that are trained on the same prompts share it, so that all but the first one
of them run the upper layers alone.
"""

from collections.abc import Generator
from contextlib import contextmanager
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
        self._layers, self._first = model.get_decoder().layers, first
        self._folder = folder / f"below_{sha256(f'{first} {settings}'.encode()).hexdigest()[:16]}"

    @contextmanager
    def __call__(self, step: int) -> Generator[None]:
        """Skip the layers below in the forward of a step, if it is known what they give."""
        file = self._folder / f"{step}.safetensors"
        if file.is_file():
            with hooks.start_at(self._layers, self._first, load_file(file)["entering"]):
                yield
            return
        entered: list[Tensor] = []

        def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            entered.append(hooks.given(args, kwargs).detach())

        handle = self._layers[self._first].register_forward_pre_hook(enter, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic(file) as partial:
            save_file({"entering": torch.cat(entered)}, partial)
