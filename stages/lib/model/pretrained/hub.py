"""Where the hub's cache has a model, pinned to a commit."""

from collections.abc import Iterable
from pathlib import Path

from stages.lib.io.cli import UserError

PATTERNS = ["*.json", "model*.safetensors", "tokenizer*", "*.jinja", "merges.txt", "vocab.*"]
PATTERNS += ["*.model", "*.tiktoken"]


def snapshot(name: str, revision: str, needed: Iterable[str] = ()) -> Path:
    """Download what a model is made of, unless the hub's cache has it.

    Parameters
    ----------
    name : str
        ORG/NAME.
    revision : str
        The commit, 40 hex digits.
    needed : iterable of str
        Files that suffice; where they are in the cache, the hub is not asked.

    Returns
    -------
    Path
        A folder of the cache.

    Raises
    ------
    UserError
        If there is no such model, or neither the cache nor the network has it.
    """
    from huggingface_hub import snapshot_download, try_to_load_from_cache

    needed = list(needed)
    try:
        cached = [try_to_load_from_cache(name, file, revision=revision) for file in needed]
        if cached and all(isinstance(file, str) for file in cached):
            folder = Path(str(cached[0]))
            return folder.parents[needed[0].count("/")]
        return Path(snapshot_download(name, revision=revision, allow_patterns=PATTERNS))
    except Exception as error:  # of the hub, its transport or the disk
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"params.yaml: model.source: {name}@{revision} could not be downloaded ({reason})"
        ) from None
