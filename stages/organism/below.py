"""Cache of the residual stream that enters the first trained layer.

The layers below are never trained. Adapters with the same first layer and the same training prompts
share the cache: only the first of them runs the layers below.
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
    """A folder of residual streams that entered a layer, one file per training step.

    Parameters
    ----------
    model : Module
        With an adapter attached.
    first : int
        First layer that the adapter changes.
    folder : Path
        Parent of the folder.
    settings : str
        Everything that the residual stream depends on: weights below, and prompts of each step.
    """

    def __init__(self, model: Any, first: int, folder: Path, settings: str):
        self._layers, self._first = model.get_decoder().layers, first
        self._folder = folder / f"below_{sha256(f'{first} {settings}'.encode()).hexdigest()[:16]}"

    @contextmanager
    def __call__(self, step: int) -> Generator[None]:
        """Skip the layers below in the forward pass of a step, or cache their output."""
        file = self._folder / f"{step}.safetensors"
        if file.is_file():
            with hooks.start_at(self._layers, self._first, load_file(file)["entering"]):
                yield
            return
        inputs: list[Tensor] = []

        def enter(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
            inputs.append(hooks.given(args, kwargs).detach())

        handle = self._layers[self._first].register_forward_pre_hook(enter, with_kwargs=True)
        try:
            yield
        finally:
            handle.remove()
        self._folder.mkdir(parents=True, exist_ok=True)
        with atomic(file) as partial:
            save_file({"entering": torch.cat(inputs)}, partial)
