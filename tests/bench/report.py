"""The table and the picture of what `tests.bench.peers` measured.

python -m tests.bench.report
"""

from pathlib import Path
from typing import Any, cast

import polars as pl
import seaborn as sns

from stages.lib.drawing import style
from tests.bench.peers import CONTENDERS

NAMES = {
    "hf_1": "HF hooks, one prompt at a time",
    "hf_16": "HF hooks, 16 rows",
    "hf_32": "HF hooks, 32 rows",
    "transformer_lens": "TransformerLens 4.3, 16 rows",
    "nnsight": "nnsight 0.8, 16 rows",
    "pyvene": "pyvene 0.1.8, 16 rows",
    "hf_prefix": "HF, prefix KV kept by hand, 32 rows",
    "ours": "this project",
}
PEERS = [name for name in CONTENDERS if name not in ("ours", "hf_prefix")]
UNITS = {"cache": "statements/s", "window": "patched runs/s", "heads": "patched runs/s"}
FOLDER = Path(__file__).parent


def main() -> None:
    """Print one table for each length of prompt, and draw both."""
    tables = {name: _read(FOLDER / f"{name}.json") for name in ("default", "long")}
    for name, rows in tables.items():
        print(f"\n{name} prompts\n\n{_table(rows)}")
    _draw(tables, FOLDER / "peers.png")


def _read(file: Path) -> pl.DataFrame:
    """Rates of every run, and the operations per unit, counted once, in the first round."""
    rows = pl.read_json(file).with_columns(rate=pl.col("units") / pl.col("seconds"))
    counted = pl.col("gflop").max().over("contender", "task") / pl.col("units")
    return rows.with_columns(gflop=counted)


def _table(rows: pl.DataFrame) -> str:
    """Medians by contender, and how often faster this project is."""
    head = [f"{task.upper()}, {unit}" for task, unit in UNITS.items()]
    head += ["GFLOP per unit", "share of matmul peak", "peak memory, MB"]
    lines = [f"| | {' | '.join(head)} |", "|" + 7 * "---|"]
    for name, title in NAMES.items():
        cells = [_of(rows, name, task) for task in UNITS]
        rates = [f"{cell['rate']:.3g}" for cell in cells]
        gflop = " / ".join(f"{cell['gflop']:.3g}" for cell in cells)
        share = " / ".join(f"{cell['share']:.0%}" for cell in cells)
        row = [title, *rates, gflop, share, f"{cells[0]['rss']:.0f}"]
        lines.append(f"| {' | '.join(row)} |")
    best, prefix = (
        [f"{_ratio(rows, task, names):.1f}x" for task in UNITS] for names in (PEERS, ["hf_prefix"])
    )
    lines.append(f"| *against the best of the first six* | {' | '.join(best)} | | | |")
    lines.append(f"| *against the prefix kept by hand* | {' | '.join(prefix)} | | | |")
    select = rows.filter(pl.col("task") == "select")["seconds"].median()
    heads = rows.filter((pl.col("task") == "heads") & (pl.col("contender") == "ours"))["units"][0]
    brute = {name: heads / _of(rows, name, "heads")["rate"] for name in NAMES}
    best, ours = min(brute[name] for name in PEERS), brute["ours"]
    lines += [
        "",
        f"All {heads} single-head runs: best peer {best:.0f} s, this project {ours:.0f} s,",
    ]
    lines += [f"prefix kept by hand {brute['hf_prefix']:.0f} s. Another method, heads ranked by"]
    lines += [
        f"attribution and the top tenth patched: {select:.1f} s, {best / select:.0f}x less than"
    ]
    lines += ["the best peer's brute force."]
    return "\n".join(lines)


def _of(rows: pl.DataFrame, name: str, task: str) -> dict[str, float]:
    """Medians of one contender at one task."""
    mine = rows.filter((pl.col("contender") == name) & (pl.col("task") == task))
    share = mine["gflop"] * mine["rate"] / mine["peak"]
    every = rows.filter(pl.col("contender") == name)
    result: dict[str, Any] = {
        "rate": mine["rate"].median(),
        "gflop": mine["gflop"][0],
        "share": share.median(),
    }
    result["rss"] = every["rss_mb"].max()
    return result


def _ratio(rows: pl.DataFrame, task: str, names: list[str]) -> float:
    """Median over rounds of this project's rate by the best of these contenders' in that round."""
    some = rows.filter(pl.col("task") == task)
    theirs = some.filter(pl.col("contender").is_in(names)).group_by("round").agg(pl.max("rate"))
    ours = some.filter(pl.col("contender") == "ours").select("round", ours="rate")
    both = theirs.join(ours, on="round")
    return float((both["ours"] / both["rate"]).median())  # pyright: ignore[reportArgumentType]


def _draw(tables: dict[str, pl.DataFrame], file: Path) -> None:
    """Rates by contender, a column a task and a row a length of prompt; bars: least and most."""
    rows = pl.concat(
        [t.select("contender", "task", "rate", prompts=pl.lit(n)) for n, t in tables.items()]
    ).filter(pl.col("task").is_in(list(UNITS)))
    rows = rows.with_columns(pl.col("contender").replace_strict(NAMES))
    with style.theme():
        grid = cast(Any, sns).catplot(
            rows.to_dict(as_series=False), kind="bar", x="rate", y="contender", col="task",
            row="prompts", order=list(NAMES.values()), col_order=list(UNITS), sharex="col",
            estimator="median", errorbar=("pi", 100), height=2.6, aspect=1.5, color="#4477aa",
        )  # fmt: skip
        for (prompts, task), axes in grid.axes_dict.items():
            axes.set(title=f"{task.upper()}, {prompts}", xlabel=UNITS[task], ylabel="")
        grid.savefig(file)


if __name__ == "__main__":
    main()
