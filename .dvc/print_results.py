"""Print what a run found, at the end of `make repro`: five numbers, the verdicts, where to look.

The numbers are those of metrics/, the verdicts those of plots/report.md.
"""

import html
import json
import re
from pathlib import Path

LOOK = """\
Look at  plots/report.md             every claim with its checks
         plots/report.html           the same as one page
         plots/explorer.html         one statement at a time
         plots/figures/overview.png  the main picture
         metrics/                    every number, with n and 95 % interval
"""


def accuracies() -> list[tuple[str, float | None]]:
    """Accuracy of runs on known statements of the report split, by what the run is."""
    summary, windows = (
        json.loads(Path(f"metrics/{name}.json").read_text(encoding="utf-8"))
        for name in ("summary", "windows")
    )
    base, best = windows["base"], windows["best"]
    layers = f"layers {best['first_layer']}-{best['last_layer']}" if best else "no window"
    return [
        (windows["source"], summary["heads_source"]),
        (base, summary["heads_base"]),
        (f"{base}, {layers} patched", summary["window_patched"]),
        (f"{base}, {summary['heads']} heads patched", summary["heads_patched"]),
        (f"{base}, random heads of other layers patched", summary["heads_elsewhere"]),
    ]


def verdicts() -> list[tuple[str, str]]:
    """Each claim of the report, with its verdict."""
    page = Path("plots/report.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| \[(.+)\]\(#[^)]*\) \| ([^|]+) \|", page, re.MULTILINE)
    return [(html.unescape(claim), verdict.strip("*")) for claim, verdict in rows]


def lines() -> list[str]:
    """All that is printed."""
    numbers, claims = accuracies(), verdicts()
    width = max(len(name) for name, _ in numbers)
    wide = max((len(verdict) for _, verdict in claims), default=0)
    return [
        "Accuracy on known statements of the report split",
        *(f"  {name:{width}}  {_shown(value)}" for name, value in numbers),
        "",
        "Verdicts",
        *(f"  {verdict:{wide}}  {claim}" for claim, verdict in claims),
        "",
        LOOK,
    ]


def _shown(value: float | None) -> str:
    """Three digits, or a dash where nothing was measured."""
    return "-" if value is None else f"{value:.3f}"


if __name__ == "__main__":
    print("\n".join(lines()), end="")
