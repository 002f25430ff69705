"""Where the numbers of the pages come from: metrics, cards of organisms, and benchmarks."""

import functools
import json
import re
from typing import Any

import polars as pl

from tests.bench import report as bench
from tests.pipeline.closure import ROOT

BENCH = ROOT / "tests/bench"


@functools.cache
def read(file: str) -> Any:
    """A JSON file of the repository."""
    return json.loads((ROOT / file).read_text(encoding="utf-8"))


def metric(key: str) -> Any:
    """A value of metrics/: the file, and the keys in it; a number is an index of a list."""
    stage, *keys = key.split(".")
    value = read(f"metrics/{stage}.json")
    for part in keys:
        value = value[int(part) if isinstance(value, list) else part]
    return value


def card(key: str) -> Any:
    """A cell of the first table with this row in an organism's card."""
    _, organism, row, column, *keys = key.split(".")
    text = (ROOT / f"data/organisms/{organism}/README.md").read_text(encoding="utf-8")
    head = ["statements", "neutral", "honest", "lying"]
    cells = re.findall(rf"^\| {row} \|(.*)\|$", text, re.MULTILINE)[0].split("|")
    value, low, high = map(float, re.findall(r"[\d.]+", cells[head.index(column) - 1]))
    cell = {"value": value, "low": low, "high": high}
    return cell[keys[0]] if keys else cell


def rate(key: str) -> str:
    """Units per second of one contender, or of the best one that is in batches."""
    _, length, contender, task = key.split(".")
    rows = runs(length)
    names = bench.PEERS if contender == "best" else [contender]
    return f"{max(bench._of(rows, name, task)['rate'] for name in names):.3g}"


def runs(length: str) -> pl.DataFrame:
    """What was measured with one length of prompts."""
    return bench._read(BENCH / f"{length}.json")


def killed(key: str) -> int:
    """A sum over the stages that were killed, or over the kills of one of them."""
    _, column, *stages = key.split(".")
    rows = pl.read_json(BENCH / "kill.json").with_columns(kills=1)
    return int(rows.filter(pl.col("stage").is_in(stages or rows["stage"]))[column].sum())
