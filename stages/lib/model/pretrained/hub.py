"""Find a model, pinned to a commit, in the hub's cache, or download it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from stages.lib.io.cli import UserError
from stages.lib.model.pretrained.files import WEIGHTS

PATTERNS = [
    "*.json",
    "model*.safetensors",
    "tokenizer*",
    "*.jinja",
    "merges.txt",
    "vocab.*",
    "*.model",
    "*.tiktoken",
]
FORMATS = (".safetensors", ".bin", ".gguf", ".pt", ".pth")
LISTED = 5  # files that a message lists
LONGEST = 300  # characters of a reason in a message


def snapshot(name: str, revision: str, needed: Iterable[str] = ()) -> Path:
    """Return the cache's folder of a model; download the model if it is not there.

    Parameters
    ----------
    name : str
        ORG/NAME on the hub.
    revision : str
        The commit, 40 hex digits.
    needed : iterable of str
        Files that suffice: if they are all in the cache, the hub is not asked.

    Returns
    -------
    Path
        A folder of the cache.

    Raises
    ------
    UserError
        If there is no such model, or it is neither in the cache nor can be downloaded.
    """
    import huggingface_hub

    hub = cast(Any, huggingface_hub)
    needed = list(needed)
    try:
        cached = [hub.try_to_load_from_cache(name, file, revision=revision) for file in needed]
        if cached and all(isinstance(file, str) for file in cached):
            folder = Path(str(cached[0]))
            return folder.parents[needed[0].count("/")]
        return Path(hub.snapshot_download(name, revision=revision, allow_patterns=PATTERNS))
    except Exception as error:  # raised by the hub's client, the network or the disk
        raise UserError(
            f"params.yaml: model.source: {name}@{revision} could not be downloaded "
            f"({_reason(error)})"
        ) from None


def require_weights(folder: Path, name: str, revision: str) -> None:
    """Refuse a model without weights in safetensors, the one format that is downloaded.

    Raises
    ------
    UserError
        Names the repository, and the weights in other formats that it has.
    """
    if any(WEIGHTS.fullmatch(file.name) for file in folder.iterdir()):
        return
    other_names = [file for file in _all(name, revision) if file.endswith(FORMATS)]
    has = f", only {', '.join(other_names[:LISTED])}" if other_names else ""
    raise UserError(
        f"params.yaml: model.source: {name}@{revision}: no model*.safetensors in it{has}; "
        "no other format and no adapter alone is loaded"
    )


def _all(name: str, revision: str) -> list[str]:
    """Return the names of all files of a model on the hub; none if the hub does not answer."""
    import huggingface_hub

    try:
        return sorted(cast(Any, huggingface_hub).HfApi().list_repo_files(name, revision=revision))
    except Exception:  # raised by the hub's client or the network
        return []


def _reason(error: Exception) -> str:
    """Say in one line what the hub says: the first line is often the number of an error alone."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if "Client Error" not in line] or lines
    return " ".join(told)[:LONGEST] or type(error).__name__
