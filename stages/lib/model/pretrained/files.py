"""The files that make a model what it is: their hashes, and a folder that holds nothing else."""

import atexit
import hashlib
import re
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.lib.io import store
from stages.lib.io.cli import UserError

WEIGHTS = re.compile(r"model[^/]*\.safetensors")
# What a model is: other files in its folder (README, weights in other formats) do not count, and
# transformers does not see them.
IDENTITY = re.compile(
    WEIGHTS.pattern + r"|model[^/]*\.safetensors\.index\.json|config\.json"
    r"|chat_template[^/]*|additional_chat_templates/[^/]*\.jinja"
    r"|vocab\.[^/]*|merges\.txt|(tokenizer|special_tokens_map|added_tokens)[^/]*"
    r"|[^/]*\.(model|tiktoken)|tekken\.json"
)
ADAPTER = re.compile(r"adapter_config\.json|adapter_model[^/]*")
TEMPLATES = "additional_chat_templates"
POINTER = b"version https://git-lfs"  # what git leaves in place of a large file
SMALL = 2**25  # bytes that are hashed in a few milliseconds, and so every time
SETTLED = 2_000_000_000  # nanoseconds after which a file that changes again has another ctime


@dataclass(frozen=True)
class Place:
    """Where a model's files are.

    Attributes
    ----------
    folder : Path
        The folder that holds them.
    names : tuple of str
        The files that are the model, by their paths in the folder: nothing else is read.
    name : str
        What transformers is to take it for: the hub's ORG/NAME, or the folder.
    """

    folder: Path
    names: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, folder: Path, name: str | None = None) -> "Place":
        """Take all files of a folder that match `IDENTITY`."""
        return cls(folder, tuple(names(folder)), name or str(folder))

    def view(self) -> Path:
        """Make a folder of links to the model's files, which is gone when the process ends.

        transformers looks for many files, code and adapters among them, and takes what it finds: in
        this folder it finds what was hashed.
        """
        folder = tempfile.TemporaryDirectory(prefix="model-")
        # Until the end, as weights that do not fit into memory are read from their file again.
        atexit.register(folder.cleanup)
        for name in self.names:
            link = Path(folder.name) / name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to((self.folder / name).resolve())
        return Path(folder.name)


def names(folder: Path) -> list[str]:
    """Name the files of a folder that make the model what it is, in order.

    Raises
    ------
    UserError
        If the folder cannot be read, one of them is no file, or an adapter lies beside them.
    """
    try:
        files = [*folder.iterdir(), *(folder / TEMPLATES).glob("*")]
    except OSError as error:
        raise UserError(f"params.yaml: model.source: {folder}: {error.strerror}") from None
    relative = {path.relative_to(folder).as_posix(): path for path in files}
    for name in sorted(relative):
        if ADAPTER.fullmatch(name):
            raise UserError(
                f"params.yaml: model.source: {relative[name]}: an adapter beside the weights, "
                "expected it merged into them (peft: merge_and_unload), or in a folder of its own"
            )
    kept_ = [name for name in sorted(relative) if IDENTITY.fullmatch(name)]
    for name in kept_:
        if not relative[name].is_file() and relative[name].suffix:
            kind = "a folder" if relative[name].is_dir() else "a link to nothing"
            raise UserError(f"params.yaml: model.source: {relative[name]}: {kind}, expected a file")
    return [name for name in kept_ if relative[name].is_file()]


def hashes(folder: Path) -> list[dict[str, Any]]:
    """Name, size in bytes and sha256 of each file in `folder` that makes the model what it is.

    Raises
    ------
    UserError
        If there are no weights in safetensors among them (other formats are not loaded), or a file
        is empty, cannot be read or stands for one that was not downloaded.
    """
    files = names(folder)
    if not any(WEIGHTS.fullmatch(name) for name in files):
        other = sorted(path.name for path in folder.glob("*.bin"))
        instead = f", only {other[0]}, and pickled weights are never loaded" if other else ""
        raise UserError(
            f"params.yaml: model.source: {folder}: no model*.safetensors in it{instead}"
        )
    return [_entry(folder, name) for name in files]


def require_unchanged(
    place: Path, files: list[dict[str, Any]], manifest: Path, more: bool = False
) -> None:
    """Refuse files that are not those of a manifest, byte for byte.

    Parameters
    ----------
    place : Path
        Folder of the files.
    files : list of dict
        From `hashes`, when stage `model` ran.
    manifest : Path
        Where they are listed, for a message.
    more : bool
        Whether the folder may hold other files too, as the hub's cache may.

    Raises
    ------
    UserError
        Naming the first file that is missing, changed or new.
    """
    again = "run `dvc repro --force --single-item model`"
    for file in files:
        local = place / file["name"]
        same = local.is_file() and local.stat().st_size == file["size"]
        if not (same and sha256(local) == file["sha256"]):
            raise UserError(f"{local}: not the file that {manifest} names; {again}")
    new: set[str] = set() if more else set(names(place)) - {file["name"] for file in files}
    if new:
        raise UserError(f"{place / min(new)}: not among the files that {manifest} names; {again}")


def sha256(file: Path) -> str:
    """Hash a file's content, as hex; a large file that did not change since is not read again.

    Size and mtime do not tell, as older files keep theirs when they are moved. The ctime does: it
    is set by the kernel whenever content, name or owner changes.
    """
    status = file.stat()
    facts = {"file": str(file.resolve()), "device": status.st_dev, "inode": status.st_ino}
    facts |= {"size": status.st_size, "mtime": status.st_mtime_ns, "ctime": status.st_ctime_ns}
    if status.st_size <= SMALL or time.time_ns() - status.st_ctime_ns < SETTLED:
        return _read(file)
    key = store.key({"sha256 of": facts})
    if known := store.read([key]):
        return known[key].hex()
    digest = _read(file)
    after = file.stat()
    if (after.st_mtime_ns, after.st_ctime_ns) == (status.st_mtime_ns, status.st_ctime_ns):
        store.write({key: bytes.fromhex(digest)})
    return digest


def _read(file: Path) -> str:
    """Hash a file's content, as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entry(folder: Path, name: str) -> dict[str, Any]:
    """One file of a manifest."""
    file = folder / name
    try:
        with file.open("rb") as stream:
            head = stream.read(len(POINTER))
        if head == POINTER:
            raise UserError(
                f"params.yaml: model.source: {file}: a pointer of git-lfs, expected the file; "
                "run `git lfs pull` there"
            )
        if not head and file.suffix in (".safetensors", ".json"):
            raise UserError(f"params.yaml: model.source: {file}: empty")
        return {"name": name, "size": file.stat().st_size, "sha256": sha256(file)}
    except OSError as error:
        raise UserError(f"params.yaml: model.source: {file}: {error.strerror or error}") from None
