"""Checkpoints of training: weights of an adapter and state of the optimiser."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from stages.lib.io.atomic import atomic


@dataclass(frozen=True)
class Checkpoint:
    """A checkpoint file, from which an interrupted training resumes.

    Attributes
    ----------
    file : Path
        A safetensors file, which may not exist yet.
    settings : str
        All settings of the training; a file with other settings is ignored.
    """

    file: Path
    settings: str

    def save(
        self, weights: list[Tensor], optimizer: torch.optim.Optimizer, step: int, seconds: float
    ) -> None:
        """Write the state after `step` steps, with the seconds that these steps took."""
        tensors = {f"{i}.weight": weight.detach() for i, weight in enumerate(weights)}
        for i, state in optimizer.state_dict()["state"].items():
            tensors |= {f"{i}.{name}": value for name, value in state.items()}
        header = json.dumps({"settings": self.settings, "step": step, "seconds": seconds})
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(self.file) as partial:
            save_file(tensors, partial, metadata={"training": header})

    def load(self, weights: list[Tensor], optimizer: torch.optim.Optimizer) -> tuple[int, float]:
        """Restore weights and optimiser in place; return the steps done and their duration in s."""
        if not self.file.is_file():
            return 0, 0.0
        with safe_open(self.file, "pt") as file:
            header = json.loads(file.metadata()["training"])
            if header["settings"] != self.settings:
                return 0, 0.0
            states: dict[int, dict[str, Any]] = {i: {} for i in range(len(weights))}
            for key in file.keys():  # noqa: SIM118 - it is no dict
                i, name = key.split(".")
                states[int(i)][name] = file.get_tensor(key)
        with torch.no_grad():
            for weight, state in zip(weights, states.values(), strict=True):
                weight.copy_(state.pop("weight"))
        groups = optimizer.state_dict()["param_groups"]
        optimizer.load_state_dict({"state": states, "param_groups": groups})
        return header["step"], header["seconds"]
