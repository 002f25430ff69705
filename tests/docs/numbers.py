"""What the metrics, the organisms' cards and the benchmarks say, by the names of numbers.yaml."""

import functools
import json
import re
from typing import Any

from tests.bench import report as bench
from tests.pipeline.closure import ROOT

PLACE = re.compile(r"\{([^{}:]+)(?::([^{}]+))?\}")
WRITTEN = r"(-?\d[\d.,]*(?: \[[^\]]+\])?)"
"""A number as a text has it, with or without an interval."""


def differences(name: str, text: str, pieces: list[str]) -> list[str]:
    """Compare the pieces of one text with what they should say.

    Parameters
    ----------
    name : str
        Of the file, for messages.
    text : str
        What stands in it.
    pieces : list of str
        Of numbers.yaml.

    Returns
    -------
    list of str
        A line per number that differs, and per piece that is not there.
    """
    lines = []
    for piece in pieces:
        found = pattern(piece).search(text)
        if found is None:
            lines.append(f"{name}: no text like {piece!r}, which numbers.yaml has")
            continue
        for (key, form), written in zip(PLACE.findall(piece), found.groups(), strict=True):
            said = shown(key, form)
            # A full stop after a number ends a sentence.
            if written.rstrip(".,") != said:
                lines.append(f"{name}: {written} is written, {key} says {said}")
    return lines


def pattern(piece: str) -> re.Pattern[str]:
    """Find a piece with any numbers; a blank in it may be the end of a line."""
    texts = PLACE.split(piece)[::3]
    return re.compile(WRITTEN.join(re.escape(t).replace(r"\ ", r"\s+") for t in texts))


def covered(text: str, pieces: list[str]) -> str:
    """Blank out what the pieces of a text cover, their own fixed numbers included."""
    for piece in pieces:
        text = pattern(piece).sub(lambda found: " " * len(found[0]), text)
    return text


def shown(key: str, form: str) -> str:
    """A number as a text has it: ``221``, ``0.031``, ``0.986 [0.943, 0.997]``."""
    source = {"card": _card, "bench": _bench, "derived": _derived}.get(key.split(".")[0], _metric)
    value = source(key)
    if isinstance(value, str | int):
        return str(value)
    if isinstance(value, float):
        return format(value, form or ".3f")
    rate = value["value"] if "value" in value else value["accuracy"]
    numbers = [format(x, form or ".3f") for x in (rate, value["low"], value["high"])]
    return f"{numbers[0]} [{numbers[1]}, {numbers[2]}]"


@functools.cache
def _read(file: str) -> Any:
    """A JSON file of the repository."""
    return json.loads((ROOT / file).read_text(encoding="utf-8"))


def _metric(key: str) -> Any:
    """A number of metrics/: the file, and the keys in it."""
    stage, *keys = key.split(".")
    value = _read(f"metrics/{stage}.json")
    for part in keys:
        value = value[part]
    return value


def _card(key: str) -> Any:
    """A cell of the first table with this row in an organism's card."""
    _, organism, row, column, *keys = key.split(".")
    text = (ROOT / f"data/organisms/{organism}/README.md").read_text(encoding="utf-8")
    head = ["statements", "neutral", "honest", "lying"]
    cells = re.findall(rf"^\| {row} \|(.*)\|$", text, re.MULTILINE)[0].split("|")
    value, low, high = map(float, re.findall(r"[\d.]+", cells[head.index(column) - 1]))
    cell = {"value": value, "low": low, "high": high}
    return cell[keys[0]] if keys else cell


def _bench(key: str) -> str:
    """Units per second of one contender, or of the best one that is in batches."""
    _, length, contender, task = key.split(".")
    rows = bench._read(ROOT / f"tests/bench/{length}.json")
    names = bench.PEERS if contender == "best" else [contender]
    return f"{max(bench._of(rows, name, task)['rate'] for name in names):.3g}"


def _derived(key: str) -> float | int:
    """Numbers that a text draws from several of the metrics, or from a plot table."""
    return {
        "derived.windows_without_best_layer": _windows_without_best_layer,
        "derived.diverge_first": lambda: min(_diverge()),
        "derived.diverge_last": lambda: max(_diverge()),
        "derived.p_corrected": _p_corrected,
        "derived.n_known": lambda: _metric("behaviour.known.all.both.known"),
    }[key]()


def _windows_without_best_layer() -> float:
    """Highest accuracy of a patched window of the report split that leaves out the best layer."""
    best = _metric("widths.patched.1.best.first_layer")
    rows = [
        row for row in _read("plots/windows/windows.json")
        if row["split"] == "report" and row["run"] == "patched"
    ]  # fmt: skip
    without = [r for r in rows if not r["first_layer"] <= best <= r["last_layer"]]
    return max(row["accuracy"] for row in without)


def _p_corrected() -> float:
    """The corrected p of random sets in the same layers, which the report alone has."""
    page = (ROOT / "plots/report.md").read_text(encoding="utf-8")
    (row,) = re.findall(
        r"^\| random sets of as many heads in the same layers.*", page, re.MULTILINE
    )
    (p,) = re.findall(r"([\d.]+) after correction", row)
    return float(p)


def _diverge() -> list[int]:
    """Layers after which the honest and the liar direction diverge, one per kind of probe."""
    methods = _metric("transfer.parting").values()
    return [method["honest"]["liar"]["parting_layer"]["value"] for method in methods]
