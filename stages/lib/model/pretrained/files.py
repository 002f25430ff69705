"""The files that define a model: their hashes, and a folder that holds nothing else."""

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
# Files that define a model. Other files in its folder (README, weights in other formats) are not
# hashed, and transformers does not see them.
IDENTITY = re.compile(
    WEIGHTS.pattern + r"|model[^/]*\.safetensors\.index\.json|config\.json"
    r"|chat_template[^/]*|additional_chat_templates/[^/]*\.jinja"
    r"|vocab\.[^/]*|merges\.txt|(tokenizer|special_tokens_map|added_tokens)[^/]*"
    r"|[^/]*\.(model|tiktoken)|tekken\.json"
)
ADAPTER = re.compile(r"adapter_config\.json|adapter_model[^/]*")
TEMPLATES = "additional_chat_templates"
POINTER = (
    b"version https://git-lfs"  # what git-lfs leaves in place of a file that was not downloaded
)
SMALL = 2**25  # bytes up to which a file is hashed every time, in a few milliseconds
SETTLED = 2_000_000_000  # nanoseconds after which another change must give a file another ctime


@dataclass(frozen=True)
class Place:
    """Where a model's files are.

    Attributes
    ----------
    folder : Path
        The folder that holds them.
    names : tuple of str
        Paths in the folder of the files that define the model: nothing else is read.
    name : str
        The model's name for transformers: ORG/NAME on the hub, or the folder.
    """

    folder: Path
    names: tuple[str, ...]
    name: str

    @classmethod
    def of(cls, folder: Path, name: str | None = None) -> "Place":
        """Make the place of all files of a folder that match `IDENTITY`."""
        return cls(folder, tuple(names(folder)), name or str(folder))

    def view(self) -> Path:
        """Make a folder of links to the model's files, which is deleted when the process ends.

        transformers looks for many files, including code and adapters, and uses those that it
        finds: in this folder it finds the hashed files only.
        """
        folder = tempfile.TemporaryDirectory(prefix="model-")
        # Not earlier, as weights that do not fit into memory are read from their file again.
        atexit.register(folder.cleanup)
        for name in self.names:
            link = Path(folder.name) / name
            link.parent.mkdir(exist_ok=True)
            link.symlink_to((self.folder / name).resolve())
        return Path(folder.name)


def names(folder: Path) -> list[str]:
    """Return the sorted names of the files of a folder that define the model.

    Raises
    ------
    UserError
        If the folder cannot be read, a name is not of a file, or there is an adapter, too.
    """
    try:
        files = [*folder.iterdir(), *(folder / TEMPLATES).glob("*")]
    except OSError as error:
        raise UserError(f"params.yaml: model.source: {folder}: {error.strerror}") from None
    relative = {path.relative_to(folder).as_posix(): path for path in files}
    has_weights = any(WEIGHTS.fullmatch(name) for name in relative)
    for name in sorted(relative):
        if ADAPTER.fullmatch(name):
            where, elsewhere = (
                ("beside the weights", ", or in a folder of its own")
                if has_weights
                else ("without the weights", "")
            )
            raise UserError(
                f"params.yaml: model.source: {relative[name]}: an adapter {where}, "
                f"expected it merged into them (peft: merge_and_unload){elsewhere}"
            )
    identity_names = [name for name in sorted(relative) if IDENTITY.fullmatch(name)]
    for name in identity_names:
        if not relative[name].is_file() and relative[name].suffix:
            kind = "a folder" if relative[name].is_dir() else "a link to nothing"
            raise UserError(f"params.yaml: model.source: {relative[name]}: {kind}, expected a file")
    return [name for name in identity_names if relative[name].is_file()]


def hashes(folder: Path) -> list[dict[str, Any]]:
    """Return name, size in bytes and sha256 of each file in `folder` that defines the model.

    Raises
    ------
    UserError
        If there are no weights in safetensors (other formats are not loaded), or a file is empty,
        cannot be read or is a pointer to a file that was not downloaded.
    """
    files = names(folder)
    if not any(WEIGHTS.fullmatch(name) for name in files):
        bin_names = sorted(path.name for path in folder.glob("*.bin"))
        instead = (
            f", only {bin_names[0]}, and pickled weights are never loaded" if bin_names else ""
        )
        raise UserError(
            f"params.yaml: model.source: {folder}: no model*.safetensors in it{instead}"
        )
    return [_entry(folder, name) for name in files]


def require_unchanged(
    place: Path, files: list[dict[str, Any]], manifest: Path, allow_others: bool = False
) -> None:
    """Refuse files that differ from those of a manifest.

    Parameters
    ----------
    place : Path
        Folder of the files.
    files : list of dict
        From `hashes`, when stage `model` ran.
    manifest : Path
        The manifest's file, for error messages.
    allow_others : bool
        Whether the folder may hold other files, as the hub's cache may.

    Raises
    ------
    UserError
        Names the first file that is missing, changed or new.
    """
    remedy = "run `dvc repro --force --single-item model`"
    for file in files:
        local = place / file["name"]
        same = local.is_file() and local.stat().st_size == file["size"]
        if not (same and sha256(local) == file["sha256"]):
            raise UserError(f"{local}: not the file that {manifest} names; {remedy}")
    new_names: set[str] = (
        set() if allow_others else set(names(place)) - {file["name"] for file in files}
    )
    if new_names:
        raise UserError(
            f"{place / min(new_names)}: not among the files that {manifest} names; {remedy}"
        )


def sha256(file: Path) -> str:
    """Return the sha256 of a file, as hex; a large file is read again only if it changed.

    Size and mtime alone do not show a change, as an older file that is moved there keeps its mtime.
    The ctime does: the kernel sets it whenever content, name or owner changes.
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
    status_after = file.stat()
    if (status_after.st_mtime_ns, status_after.st_ctime_ns) == (
        status.st_mtime_ns,
        status.st_ctime_ns,
    ):
        store.write({key: bytes.fromhex(digest)})
    return digest


def _read(file: Path) -> str:
    """Read a file, and return its sha256 as hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _entry(folder: Path, name: str) -> dict[str, Any]:
    """Return the manifest's entry of a file."""
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
