"""YAML that is parsed and written once: most of a `dvc repro` of small stages is YAML, in Python.

DVC parses params.yaml once per stage of each command, and with each stage that has run it parses
dvc.lock and writes it anew, all stages of it.
"""

import hashlib
import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

LOCK = "schema: '2.0'\nstages:\n"


def install(folder: Path) -> None:
    """Let DVC in this process find in a folder what has been parsed or written before."""
    parse, write = YAML.load, YAML.dump

    def load(self: YAML, stream: Any) -> Any:
        """What a text says; that of dvc.lock, which has no comments, as plain values."""
        text = isinstance(stream, str)
        if not text or (self.typ != ["safe"] and not stream.startswith(LOCK)):
            return parse(self, stream)
        return _kept(folder, "load " + stream, lambda: parse(YAML(typ="safe"), stream))

    def dump(self: YAML, data: Any, stream: Any = None, **options: Any) -> Any:
        """Write dvc.lock stage by stage, and remember what it says."""
        if not isinstance(data, dict) or list(data) != ["schema", "stages"]:
            return write(self, data, stream, **options)
        plain = _plain(data)
        entries = [{"stages": {name: entry}} for name, entry in plain["stages"].items()]
        made = [
            _kept(folder, f"dump {entry}", lambda e=entry: written(self, e)) for entry in entries
        ]
        text = LOCK + "".join(made)
        _kept(folder, "load " + text, lambda: plain)
        return stream.write(text)

    def written(self: YAML, entry: dict[str, Any]) -> str:
        """Lines of one stage."""
        stream = io.StringIO()
        write(self, entry, stream)
        return stream.getvalue().removeprefix("stages:\n")

    YAML.load, YAML.dump = load, dump


def _kept(folder: Path, key: str, make: Callable[[], Any]) -> Any:
    """A copy of what was made under a key, by this process or by another one."""
    file = folder / hashlib.sha256(key.encode(errors="surrogatepass")).hexdigest()
    if not file.is_file():
        partial = file.with_suffix(f".{os.getpid()}")
        partial.write_bytes(pickle.dumps(make()))
        partial.replace(file)
    return pickle.loads(file.read_bytes())


def _plain(value: Any) -> Any:
    """Mappings and lists without comments, none of them in two places: the writer would say so."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
