"""Print what a run found, at the end of `make repro`: numbers, verdicts, where to look.

The numbers are those of metrics/, the verdicts those of plots/report.md.
"""

import html
import json
import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from stages.lib import names

ROLES = {"writers": "written", "readers": "read"}
LOOK = """\
Look at  plots/report.md             every claim with its checks
         plots/report.html           the same as one page
         plots/explorer.html         one statement at a time
         plots/figures/overview.png  the main picture
         metrics/                    every number, with n and 95 % interval
"""


def metrics(name: str) -> dict[str, Any]:
    """Read the metrics of a stage."""
    return json.loads(Path(f"metrics/{name}.json").read_text(encoding="utf-8"))


def accuracies() -> list[tuple[str, dict[str, float | None]]]:
    """Accuracy of runs on known statements of the report split, by what the run is."""
    behaviour, windows, transplant = map(metrics, ("behaviour", "windows", "transplant"))
    source, base, best = windows["source"], windows["base"], windows["best"]
    known, heads = behaviour["known_report"], transplant["by_topic"]["all"]
    layers = f"layers {best['first_layer']}-{best['last_layer']}" if best else "no window"
    n_heads = transplant["n_heads"] or "no"
    heads_patched = f"{n_heads} head{'s' * (n_heads != 1)} patched"
    return [
        (source, known[source]["accuracy"]),
        (base, known[base]["accuracy"]),
        (f"{base}, {layers} patched", windows["runs"]["report"].get("patched", {})),
        (f"{base}, {heads_patched}", heads.get("patched", {})),
    ]


def random_sets() -> tuple[str, str]:
    """Accuracy with as many heads of other layers patched, and how far random sets differ."""
    windows, transplant = map(metrics, ("windows", "transplant"))
    base, sets = windows["base"], transplant["elsewhere"]["accuracy"]
    name = f"{base}, {transplant['n_heads'] or 'no'} heads of other layers patched"
    if sets["mean"] is None:
        return name, "not measured"
    spread = f"mean of {sets['n_sets']} random sets, 5-95 % of them {sets['p05']:.3f} to"
    return name, f"{sets['mean']:.3f}, {spread} {sets['p95']:.3f}, n = {sets['lead']['n']}"


def places() -> list[tuple[str, dict[str, float | None]]]:
    """Fraction of the gap that each layer and place recovers, where the lie is written and read."""
    trace = metrics("trace")
    cells = (
        (role, trace["cells"][name]) for role in ("writers", "readers") for name in trace[role]
    )
    return [
        (f"{ROLES[role]}: layer {cell['layer']}, {names.block(cell['block'])}", cell["recovered"])
        for role, cell in cells
    ]


def verdicts() -> list[tuple[str, str]]:
    """Each claim of the report, with its verdict."""
    page = Path("plots/report.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+)\]\(#[^)]*\) \| ([^|]+) \|", page, re.MULTILINE)
    return [(html.unescape(claim), verdict.strip("*")) for claim, verdict in rows]


def lines() -> list[str]:
    """All that is printed."""
    numbers, written, claims = accuracies(), places(), verdicts()
    others, spread = random_sets()
    width = max(len(name) for name in (others, *dict(numbers + written)))
    wide = max((len(verdict) for _, verdict in claims), default=0)
    return [
        "Accuracy on known statements of the report split, with 95 % interval",
        "(n differs: stages take different numbers of these statements)",
        *(f"  {name:{width}}  {_shown(value)}" for name, value in numbers),
        f"  {others:{width}}  {spread}",
        "",
        "Fraction of the gap in log-odds recovered by one layer patched at one place",
        *([f"  {name:{width}}  {_shown(value)}" for name, value in written] or ["  no such place"]),
        "",
        "Verdicts",
        *(f"  {verdict:{wide}}  {claim}" for claim, verdict in claims),
        "",
        LOOK,
    ]


def _shown(row: dict[str, float | None]) -> str:
    """Write a number as the report does: ``0.986 [0.943, 0.997], n = 221``."""
    value = row.get("value", row.get("accuracy"))
    if value is None:
        return "not measured"
    return f"{value:.3f} [{row['low']:.3f}, {row['high']:.3f}], n = {row['n']}"


if __name__ == "__main__":
    print("\n".join(lines()), end="")
