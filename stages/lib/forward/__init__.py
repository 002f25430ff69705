"""The forward pass: the only package that runs the model."""

from stages.lib.forward.activations import capture
from stages.lib.forward.batches import is_main_process
from stages.lib.forward.patcher import Patcher, Readouts

__all__ = ["Patcher", "Readouts", "capture", "is_main_process"]
