"""One row of the table of bad inputs, and the commands of the stages that meet them."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.pipeline.closure import declared
from tests.pipeline.conftest import Project

ONE = "liar"
"""Persona or system prompt of the stages that run once for each."""


def _command(stage: dict[str, Any]) -> str:
    """Arguments of a stage's command in dvc.yaml."""
    arguments = re.split(r"-m stages\.\S+ ", stage["cmd"])[1]
    return arguments.replace(r"\${DVC_STAGE##*@}", ONE).replace('"', "")


def _outs(stage: dict[str, Any]) -> list[str]:
    """What a stage writes."""
    listed = [out for kind in ("outs", "plots", "metrics") for out in stage.get(kind, [])]
    names = [out if isinstance(out, str) else next(iter(out)) for out in listed]
    return [re.sub(r"\$\{item\.\w+\}", ONE, name) for name in names]


# Command line of each stage and the outs that a refusal must not leave behind.
STAGES = {name: (_command(stage), _outs(stage)) for name, stage in declared().items()}


@dataclass(frozen=True)
class Case:
    """A bad input.

    Attributes
    ----------
    name : str
        Names the row in pytest's output.
    stage : str
        Key of `STAGES`: the stage that meets the input first.
    spoil : callable
        Brings the input into a project whose model and statements are made.
    expected : str
        What the one line must hold: file, row or key, what was found, what was expected.
    before : tuple of str
        Stages that must pass between `spoil` and `stage`.
    environment : dict of str to str
        Variables for the stage.
    """

    name: str
    stage: str
    spoil: Callable[[Project], None]
    expected: str
    before: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
