"""Stage `check`: look at every setting of params.yaml before anything runs.

Params  all of params.yaml

A wrong setting of the last stage stops the run here, in its first second. What needs the model or a
file to be judged (more layers than there are, a column that is missing) is left to the stage that
reads it.
"""

from pathlib import Path
from typing import Annotated, Any

from stages.activations.config import ActivationsConfig
from stages.attribution.config import AttributionConfig
from stages.behaviour.config import BehaviourConfig
from stages.cells.config import GridConfig
from stages.check import agreement, remarks
from stages.controls.config import ControlsConfig
from stages.curves.config import CurvesConfig
from stages.effects.config import EffectsConfig
from stages.erasure.config import ErasureConfig
from stages.heads.config import HeadsConfig
from stages.lib.io import cli, params
from stages.lib.io.cli import UserError
from stages.lib.io.whole import whole
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching.config import PatchConfig
from stages.lib.probing.config import ProbesConfig
from stages.lib.weights import recipe
from stages.lib.weights.config import ModelConfig
from stages.positions.config import PositionsConfig
from stages.robustness.config import RobustnessConfig
from stages.statements.config import StatementsConfig
from stages.statements.sources import listed
from stages.transfer.config import TransferConfig
from stages.transplant.config import TransplantConfig
from stages.widths.config import WidthsConfig
from stages.windows.config import WindowsConfig

SCHEMAS: dict[str, Any] = {
    "model": ModelConfig,
    "statements": StatementsConfig,
    "readout": ReadoutConfig,
    "activations": ActivationsConfig,
    "behaviour": BehaviourConfig,
    "probes": ProbesConfig,
    "patch": PatchConfig,
    "windows": WindowsConfig,
    "effects": EffectsConfig,
    "heads": HeadsConfig,
    "transplant": TransplantConfig,
    "grid": GridConfig,
    "transfer": TransferConfig,
    "attribution": AttributionConfig,
    "widths": WidthsConfig,
    "positions": PositionsConfig,
    "curves": CurvesConfig,
    "robustness": RobustnessConfig,
    "controls": ControlsConfig,
    "erasure": ErasureConfig,
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
