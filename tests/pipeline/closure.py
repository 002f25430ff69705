"""What dvc.yaml declares, and which files a stage imports, read without running anything."""

import ast
import functools
import json
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]


def declared() -> dict[str, dict[str, Any]]:
    """Stages of dvc.yaml by name; `scores` once per sweep, others as they stand."""
    stages = YAML(typ="safe").load((ROOT / "dvc.yaml").read_text())["stages"]
    sweeps = stages.pop("scores")
    scores = json.dumps(sweeps["do"])
    return {name: stage.get("do", stage) for name, stage in stages.items()} | {
        f"scores@{sweep}": json.loads(
            scores.replace("${key}", sweep)
            .replace("${item.runs}", item["runs"])
            .replace("${item.settings}", item["settings"])
        )
        for sweep, item in sweeps["foreach"].items()
    }


def run_the_model() -> set[str]:
    """Names of the stages that run the model; users start them with a launcher."""
    return {name for name, stage in declared().items() if "LAUNCHER" in stage["cmd"]}


def entry(module: str) -> Path:
    """Return the file that `python -m stages.MODULE` runs."""
    path = ROOT.joinpath("stages", *module.split("."))
    return path / "__main__.py" if path.is_dir() else path.with_suffix(".py")


def closure(file: Path) -> set[str]:
    """Paths, from the repository's root, of a stage and of all that it imports, transitively."""
    result: set[Path] = set()
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in result:
            result.add(path)
            waiting += _imports(path)
    return {path.relative_to(ROOT).as_posix() for path in result if _has_code(path)}


@functools.cache
def _has_code(file: Path) -> bool:
    """Whether a file holds more than its docstring."""
    return len(ast.parse(file.read_text(encoding="utf-8")).body) > 1


@functools.cache
def _imports(file: Path) -> list[Path]:
    """Files of the project that one file imports, by name or by a pattern."""
    names, tree = [], ast.parse(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom) and node.module:
            names += [node.module] + [f"{node.module}.{alias.name}" for alias in node.names]
    imported = [path for name in names if name.startswith("stages") for path in _files(name)]
    return imported + _found(tree)


def _found(tree: ast.Module) -> list[Path]:
    """Files of the patterns that a module gives to `nodes.modules` and `nodes.classes`."""
    return [
        path
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func).startswith("nodes.")
        for path in (ROOT / "stages").glob(ast.literal_eval(node.args[0]))
    ]


def _files(name: str) -> list[Path]:
    """Return the file of a module, or of a package's __init__."""
    path = ROOT.joinpath(*name.split("."))
    return [f for f in (path.with_suffix(".py"), path / "__init__.py") if f.is_file()]
