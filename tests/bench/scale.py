"""Time and peak memory of every stage against the number of statements, on a tiny model.

python -m tests.bench.scale --out tests/bench

No stage has a limit: each takes all statements there are. Runs of a statement are few, as memory
does not depend on how many there are, and activations have a budget, as a quarter of the memory that
is free would not be the same each time.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import polars as pl
import seaborn as sns
from ruamel.yaml import YAML

from stages.lib.drawing import style
from tests.pipeline.closure import ROOT
from tests.pipeline.conftest import Project, make

SIZES = (1000, 3000, 10000)
UNLIMITED = ("limit", "search_limit", "report_limit", "random_limit", "reverse_limit", "choose")
SETTINGS = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
SECTIONS = [
    name
    for name, section in SETTINGS.items()
    if isinstance(section, dict)
    and set(section) & set(UNLIMITED)
    and name not in ("statements", "inspect", "benchmark")
]
FEW = {
    "widths": {"sizes": [2]},
    "positions": {"counts": [20], "draws": 1},
    "erasure": {"sizes": [1], "stride": 5, "draws": 1},
    "transplant": {"random_sets": 1},
    "set_sizes": {"sizes": [2], "random": 1},
    "robustness": {"shuffles": 1},
    "trace": {"cells": 2},
    "grid": {
        "systems": ["honest", "stubborn"],
        "questions": {"quoted": None},
        "prefixes": {"it": None},
    },
}
BUDGET = {"MEMORY_BUDGET_GB": "0.1"}


def main(out: Path, sizes: tuple[int, ...] = SIZES, stages: tuple[str, ...] = ()) -> None:
    """Run the pipeline, or some stages and what they need; write the rows and a picture."""
    rows: list[dict[str, Any]] = []
    for size in sizes:
        with tempfile.TemporaryDirectory() as folder:
            place, times = Path(folder) / "project", Path(folder) / "times.tsv"
            place.mkdir()
            project = make(place)
            _enlarge(project, size)
            result = project.run("dvc", "repro", *stages, STAGE_TIMES=str(times), **BUDGET)
            assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
            rows += [_row(size, line) for line in times.read_text().splitlines()]
        (out / "scale.json").write_text(json.dumps(rows, indent=1) + "\n")
    table = pl.DataFrame(rows)
    wide = table.pivot("statements", index="stage", values=["seconds", "MiB"])
    with pl.Config(tbl_rows=-1, tbl_cols=-1):
        print(wide)
    _draw(table, out / "scale.png")


def _row(size: int, line: str) -> dict[str, Any]:
    """One stage of the table that stages write."""
    stage, seconds, peak = line.split("\t")
    return {"statements": size, "stage": stage, "seconds": float(seconds), "MiB": int(peak)}


def _enlarge(project: Project, size: int) -> None:
    """Write `size` statements, and let every stage take all of them, with few runs of each."""
    rows = [f"{t} {i} is a letter,{int(t == 'T')}" for i in range(size // 2) for t in "TF"]
    file = project.folder / "data/raw/letters.csv"
    file.write_text("\n".join(["statement,label", *rows]) + "\n")
    params = YAML(typ="safe").load(project.folder / "params.yaml")
    for section in SECTIONS:
        keys = [key for key in UNLIMITED if key in params[section]]
        project.set({section: dict.fromkeys(keys) | FEW.get(section, {})})


def _draw(table: pl.DataFrame, file: Path) -> None:
    """Seconds and peak memory against statements, a line a stage."""
    long = table.unpivot(index=["statements", "stage"], on=["seconds", "MiB"])
    with style.theme():
        grid = sns.relplot(
            long.to_dict(as_series=False), kind="line", x="statements", y="value", col="variable",
            hue="stage", marker="o", facet_kws={"sharey": False}, height=6,
        )  # fmt: skip
        grid.set(xscale="log")
        grid.savefig(file, dpi=100)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    main(**vars(parser.parse_args()))
