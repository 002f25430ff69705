"""What `make repro` prints at its end is what the metrics and the report say."""

import json
import re
import subprocess
import sys

from tests.pipeline.closure import ROOT

SUMMARY = json.loads((ROOT / "metrics/summary.json").read_text(encoding="utf-8"))
NUMBERS = ("heads_source", "heads_base", "window_patched", "heads_patched", "heads_elsewhere")


def printed() -> str:
    command = [sys.executable, ".dvc/print_results.py"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_five_numbers_and_every_verdict_are_printed():
    text = printed()
    assert re.findall(r"  (\d\.\d{3})$", text, re.MULTILINE) == [
        f"{SUMMARY[x]:.3f}" for x in NUMBERS
    ]
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
