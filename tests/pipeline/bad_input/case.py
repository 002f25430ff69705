"""One row of the table of bad inputs, and the commands of the stages that meet them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.pipeline.conftest import Project

# Command line of each stage and the outs that a refusal must not leave behind.
STAGES: dict[str, tuple[str, list[str]]] = {
    "check": (
        "--out data/checked.json",
        ["data/checked.json"],
    ),
    "model": (
        "--organisms data/organisms --out data/model",
        ["data/model"],
    ),
    "statements": (
        "--out data/statements.parquet",
        ["data/statements.parquet"],
    ),
    "prompts": (
        "--persona liar --statements data/statements.parquet --model data/model "
        "--out data/prompts/liar.parquet",
        ["data/prompts/liar.parquet"],
    ),
    "activations": (
        "--prompts data/prompts/liar.parquet --model data/model --out data/activations/liar "
        "--readouts data/readouts/liar.parquet",
        ["data/activations/liar", "data/readouts/liar.parquet"],
    ),
    "cells": (
        "--system liar --statements data/statements.parquet --model data/model "
        "--out data/cells/liar.parquet",
        ["data/cells/liar.parquet"],
    ),
    "behaviour": (
        "--statements data/statements.parquet --prompts data/prompts --readouts data/readouts "
        "--known data/known.parquet --metrics metrics/behaviour.json --plots plots/behaviour",
        ["data/known.parquet", "metrics/behaviour.json", "plots/behaviour"],
    ),
    "probes": (
        "--statements data/statements.parquet --known data/known.parquet "
        "--activations data/activations --out data/probes --metrics metrics/probes.json "
        "--plots plots/probes",
        ["data/probes", "metrics/probes.json", "plots/probes"],
    ),
    "pairs": (
        "--statements data/statements.parquet --known data/known.parquet --prompts data/prompts "
        "--out data/pairs.parquet",
        ["data/pairs.parquet"],
    ),
    "windows": (
        "--pairs data/pairs.parquet --model data/model --out data/windows.parquet "
        "--metrics metrics/windows.json --plot plots/windows/windows.json",
        ["data/windows.parquet", "metrics/windows.json", "plots/windows/windows.json"],
    ),
}


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
