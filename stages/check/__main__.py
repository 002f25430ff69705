"""Stage `check`: look at every setting of params.yaml before anything runs.

Params  all of params.yaml

A wrong setting of the last stage stops the run here, in its first second. What needs the model or a
file to be judged (more layers than there are, a column that is missing) is left to the stage that
reads it.
"""

from pathlib import Path
from typing import Annotated, Any

from stages.activations import config as activations
from stages.attribution import config as attribution
from stages.behaviour import config as behaviour
from stages.cells import config as grid
from stages.check import agreement, remarks
from stages.controls import config as controls
from stages.curves import config as curves
from stages.effects import config as effects
from stages.erasure import config as erasure
from stages.heads import config as heads
from stages.lib.io import cli, params
from stages.lib.io.cli import UserError
from stages.lib.io.whole import whole
from stages.lib.model import readout
from stages.lib.patching import config as patch
from stages.lib.probing import config as probes
from stages.lib.weights import config as model
from stages.lib.weights import recipe
from stages.positions import config as positions
from stages.robustness import config as robustness
from stages.statements import config as statements
from stages.statements.sources import listed
from stages.transfer import config as transfer
from stages.transplant import config as transplant
from stages.widths import config as widths
from stages.windows import config as windows

SCHEMAS: dict[str, Any] = {
    "model": model.Config,
    "statements": statements.Config,
    "readout": readout.Config,
    "activations": activations.Config,
    "behaviour": behaviour.Config,
    "probes": probes.Config,
    "patch": patch.Config,
    "windows": windows.Config,
    "effects": effects.Config,
    "heads": heads.Config,
    "transplant": transplant.Config,
    "grid": grid.Config,
    "transfer": transfer.Config,
    "attribution": attribution.Config,
    "widths": widths.Config,
    "positions": positions.Config,
    "curves": curves.Config,
    "robustness": robustness.Config,
    "controls": controls.Config,
    "erasure": erasure.Config,
}
OTHERS = ("personas", "prompt", "organisms")
"""Sections without a schema: their keys are names that a user gives."""


def main(
    out: Annotated[
        Path,
        "writes the same JSON always, so that what depends on it does not run again",
    ],
) -> None:
    """Read every section, then what they must agree on."""
    known = (*SCHEMAS, *OTHERS)
    for name in params.mapping():
        if name not in known:
            raise UserError(
                f"params.yaml: {name}: unknown section, expected one of {', '.join(known)}"
            )
    found = {name: params.section(name, schema) for name, schema in SCHEMAS.items()}
    recipes = recipe.names()
    params.section("organisms.training", recipe.Training)
    for name in recipes:
        recipe.read(name)
    agreement.require_organism(found["model"].organism, recipes)
    agreement.require_personas(found["patch"], found["behaviour"].neutral)
    agreement.require_wordings(found["grid"])
    agreement.require_rewordings(found["robustness"], found["patch"])
    listed.read("params.yaml: statements.sources", found["statements"].sources)
    remarks.refuse_cut()
    with whole(out) as partial:
        partial.write_text('{"checked": "params.yaml"}\n', encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
