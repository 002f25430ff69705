"""Write the folder that `lm.load` reads: a manifest, and weights that are nowhere else."""

import hashlib
import json
from pathlib import Path
from typing import Any

from stages.lib.io import tables
from stages.lib.model import kernels, lm
from stages.lib.model.pretrained.files import hashes
from stages.lib.weights import fetch
from stages.lib.weights.config import ModelConfig


def make(config: ModelConfig, organisms: Path, folder: Path, dose: float = 1.0) -> None:
    """Write the manifest, and the weights that are nowhere else.

    Parameters
    ----------
    config : ModelConfig
        Section `model` of params.yaml.
    organisms : Path
        Folder of the model organisms' adapters.
    folder : Path
        An empty folder.
    dose : float
        Share of the lying adapter's change of weights that is merged in.
    """
    dtype = _dtype() if config.dtype == "auto" else config.dtype
    kernels.require(dtype)
    fetched = fetch.find(config, folder)
    organism = None
    if config.organism is not None:
        # The import takes seconds, and only organisms need it.
        from stages.lib.weights import merged

        fetched, organism = merged.make(fetched, config, organisms, folder, dose)
    files = hashes(fetched.folder)
    sizes = lm.require_whole(fetched.place, config.modules)
    manifest = {
        "kind": fetched.kind,
        "source": fetched.source,
        "revision": fetched.revision,
        "dtype": dtype,
        "files": files,
        "identity": _identity(files, config.modules),
        "sizes": sizes,
        "organism": organism,
    }
    module_names = {"modules": config.modules} if config.modules else {}
    tables.write_json(folder / lm.MANIFEST, manifest | module_names)


def _dtype() -> str:
    """Choose float32 on CPUs, where bfloat16 is slow or crashes, and bfloat16 on GPUs."""
    import torch

    return "bfloat16" if torch.cuda.is_available() else "float32"


def _identity(files: list[dict[str, Any]], modules: dict[str, str] | None) -> str:
    """Hash the names and contents of weights and tokenizer, and the user's paths of modules."""
    module_names: list[Any] = [modules] if modules else []
    lines = json.dumps(
        [[file["name"], file["sha256"]] for file in files] + module_names, sort_keys=True
    )
    return hashlib.sha256(lines.encode()).hexdigest()
