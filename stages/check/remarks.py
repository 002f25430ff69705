"""Texts of params.yaml that YAML cuts: `` #`` begins a comment, which is not part of the text."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from stages.lib.io.cli import UserError
from stages.lib.io.params import FILE

WORDINGS = (("prompt",), ("grid", "questions"), ("grid", "prefixes"), ("robustness", "wordings"))
"""Keys of params.yaml below which texts are wordings of the prompt."""
TEXT = "tag:yaml.org,2002:str"


def refuse_cut(file: Path = FILE) -> None:
    """Refuse an unquoted wording before a comment, which may be the rest of the wording.

    Parameters
    ----------
    file : Path
        Valid YAML, a mapping.

    Raises
    ------
    UserError
        With the line, the text and the comment.
    """
    content = file.read_text(encoding="utf-8")
    root = YAML(typ="safe", pure=True).compose(content)
    for keys in WORDINGS:
        for path, node, end in _texts(_inside(root, keys), ".".join(keys)):
            comment = content[end.index :].split("\n", 1)[0].strip().removeprefix(":").strip()
            if node.style is None and comment.startswith("#"):
                raise UserError(
                    f"{file}, line {end.line + 1}: {path}: found {node.value!r}, which "
                    f"YAML ends before {comment!r}, expected the text in quotes, and a comment on "
                    "a line of its own"
                )


def _inside(node: Any, keys: tuple[str, ...]) -> Any:
    """Return the node at a path of keys; None if there is no such key."""
    for key in keys:
        pairs = node.value if node is not None and node.id == "mapping" else []
        node = next((value for name, value in pairs if name.value == key), None)
    return node


def _texts(node: Any, path: str, key: Any = None) -> Iterator[tuple[str, Any, Any]]:
    """All texts below a node of mappings, and values left empty: keys, node, and where it ends."""
    if node is None:
        return
    if node.id == "mapping":
        for name, value in node.value:
            yield from _texts(value, f"{path}.{name.value}", name)
    elif node.id == "scalar" and node.tag == TEXT:
        yield path, node, node.end_mark
    elif (
        node.id == "scalar" and not node.value and key is not None
    ):  # its own mark is at the next key
        yield path, node, key.end_mark
