"""Stage `check`: check every setting of params.yaml before anything runs.

Params  all of params.yaml

A wrong setting of the last stage stops the run here, in its first second. A setting that only the
model or a file can refute (more layers than the model has, a missing column) is left to the stage
that reads it.
"""

from pathlib import Path
from typing import Annotated

from stages.check import agreement, remarks
from stages.check.schemas import schemas
from stages.lib.io import cli, params
from stages.lib.io.atomic import atomic
from stages.lib.io.cli import UserError
from stages.lib.weights import recipe
from stages.statements.sources import listed

WITHOUT_SCHEMA = ("personas", "prompt", "organisms")
"""Sections without a schema: their keys are names that a user gives."""


def main(
    out: Annotated[
        Path,
        "writes the same JSON every time, so that stages that depend on it do not run again",
    ],
) -> None:
    """Check every section, then what the sections must agree on."""
    section_names = (*schemas(), *WITHOUT_SCHEMA)
    for name in params.mapping():
        if name not in section_names:
            raise UserError(
                f"params.yaml: {name}: unknown section, expected one of {', '.join(section_names)}"
            )
    remarks.refuse_cut()
    sections = {name: params.section(name, schema) for name, schema in schemas().items()}
    recipes = {name: recipe.read(name) for name in recipe.names()}
    training = params.section("organisms.training", recipe.Training)
    agreement.require_organisms(
        sections["model"].organism, sections["benchmark"].organisms, recipes, training
    )
    agreement.require_personas(sections["patch"], sections["behaviour"].neutral)
    agreement.require_wordings(sections["grid"])
    agreement.require_rewordings(sections["robustness"], sections["patch"])
    listed.read("params.yaml: statements.sources", sections["statements"].sources)
    with atomic(out) as partial:
        partial.write_text('{"checked": "params.yaml"}\n', encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
