"""Find a model, pinned to a commit, in the hub's cache, or download it."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, cast

from stages.lib.io.cli import UserError

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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"params.yaml: model.source: {name}@{revision} could not be downloaded ({reason})"
        ) from None
