"""What `make repro` prints at its end is what the metrics and the report say."""

import json
import re
import subprocess
import sys

from stages.lib import names
from tests.pipeline.closure import ROOT

NUMBER = r"  (\d\.\d{3} \[.+\], n = \d+)$"


def metrics(name: str) -> dict:
    return json.loads((ROOT / f"metrics/{name}.json").read_text(encoding="utf-8"))


def printed(folder=ROOT) -> str:
    command = [sys.executable, str(ROOT / ".dvc/print_results.py")]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def test_numbers_are_those_of_the_metrics_with_their_intervals_and_n():
    """Of both personas those of README.md and of the report's first claim."""
    windows, transplant = metrics("windows"), metrics("transplant")
    known = metrics("behaviour")["known_report"]
    rows = [known[windows[role]]["accuracy"] for role in ("source", "base")]
    rows += [windows["runs"]["report"]["patched"], transplant["by_topic"]["all"]["patched"]]
    values = [row.get("value", row.get("accuracy")) for row in rows]
    expected = [
        f"{value:.3f} [{row['low']:.3f}, {row['high']:.3f}], n = {row['n']}"
        for value, row in zip(values, rows, strict=True)
    ]
    sets = transplant["elsewhere"]["accuracy"]
    n_sets, n = sets["n_sets"], sets["lead"]["n"]
    spread = f"{sets['mean']:.3f}, mean of {n_sets} random sets, 5-95 % of them "
    spread += f"{sets['p05']:.3f} to {sets['p95']:.3f}, n = {n}\n"
    text = printed()
    head, places = text.split("Verdicts\n")[0].split("Fraction of the gap")
    shown = re.findall(NUMBER, head, re.MULTILINE)
    assert shown == expected
    assert spread in head
    trace = metrics("trace")
    cells = [trace["cells"][name]["recovered"] for name in trace["writers"] + trace["readers"]]
    for place in trace["writers"]:
        layer, _, block = place.partition(" ")
        assert f"  written: layer {layer}, {names.block(block)} " in places
    assert re.findall(NUMBER, places, re.MULTILINE) == [
        f"{row['value']:.3f} [{row['low']:.3f}, {row['high']:.3f}], n = {row['n']}" for row in cells
    ]
    report = (ROOT / "plots/report.md").read_text(encoding="utf-8")
    assert all(row in report for row in expected)
    assert len({row.rpartition(" ")[2] for row in shown}) > 1
    assert "n differs" in text


def test_what_was_not_measured_is_said_and_nothing_crashes(tmp_path):
    """A model without known statements has no window and no head set."""
    nothing = {"value": None, "low": None, "high": None, "n": 0}
    none = dict.fromkeys(("mean", "p05", "p95")) | {"n_sets": 0, "lead": nothing}
    known = {name: {"accuracy": nothing} for name in ("a", "b")}
    made = {
        "behaviour": {"known_report": known},
        "trace": {"writers": [], "readers": [], "cells": {}},
        "windows": {"source": "a", "base": "b", "best": None, "runs": {"report": {}}},
        "transplant": {
            "n_heads": None,
            "elsewhere": {"accuracy": none},
            "by_topic": {"all": {"patched": nothing}},
        },
    }
    (tmp_path / "metrics").mkdir()
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots/report.md").write_text("# Nothing\n")
    for name, of in made.items():
        (tmp_path / f"metrics/{name}.json").write_text(json.dumps(of))
    text = printed(tmp_path)
    assert text.count("  not measured\n") == 5
    assert "  no such place\n" in text


def test_every_verdict_is_printed():
    text = printed()
    page = (ROOT / "plots/report.md").read_text(encoding="utf-8")
    claims = re.findall(r"^## (.+)$", page, re.MULTILINE)
    assert len(claims) > 10
    assert [line for line in text.splitlines() if line.endswith(tuple(claims))] == [
        line for line in text.split("Verdicts\n")[1].split("\n\n")[0].splitlines()
    ]


def test_it_is_the_last_that_a_successful_run_does():
    recipe = re.findall(
        r"^repro:.*\n((?:\t.*\n|  .*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert recipe[0].index(".dvc/repro.py") < recipe[0].index("print_results")
    assert "repro.py;" not in recipe[0]  # where it fails, make stops
