"""What writing at some positions does: rows of a table, points of plots, metrics."""

from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl

from stages.lib import stats
from stages.lib.io import tables
from stages.lib.patching import cases, patch, patched_runs
from stages.lib.patching.cases import Cases
from stages.lib.stats import run_points
from stages.positions.blocks import BLOCKS
from stages.positions.position_runs import ALL, Blocks, Counts

SCHEMA: tables.Schema = tables.PATCHED | {"written": pl.String, "run": pl.String}
SCHEMA |= {"block": pl.String, "draw": pl.Int32, "positions": pl.Int32}
RUNS = ("source", "alone", "elsewhere", "base", "left_out")  # in the order of plots
Rows = list[dict[str, Any]]


def rows(counts: Counts, blocks: Blocks, config: patch.Config) -> pl.DataFrame:
    """One row a statement and run, with the columns of `SCHEMA`; unpatched runs write nothing."""
    source, base = config.source, config.base
    unpatched = ((base, counts.readouts.base), (source, counts.readouts.source))
    parts = [
        _rows(counts.cases, p, (name, name), "none", {"positions": 0}) for name, p in unpatched
    ]
    for count, of_count in zip(counts.counts, counts.readouts.patched, strict=True):
        for written, p in zip(counts.written, of_count, strict=True):
            columns = {"written": written, "run": "last", "positions": count}
            parts.append(_rows(counts.cases, p, (source, base), f"{written}_last_{count}", columns))
    for (name, n), p in zip(blocks.n_written.items(), blocks.readouts.patched, strict=True):
        patch_id = f"window_{name.run}_{name.block.replace(' ', '_')}_{name.draw}"
        columns = {"written": "window", **name._asdict(), "positions": pl.Series(n)}
        parts.append(_rows(blocks.cases, p, (source, base), patch_id, columns))
    return pl.concat(parts)


def by_count(found: Counts, config: patch.Config) -> Rows:
    """Accuracy and truth against how many last positions are written.

    Returns
    -------
    list of dict
        Of plots/positions/counts.json: one row a count and run; `written` is ``nothing`` in
        unpatched runs, which stand at every count.

    References
    ----------
    arXiv:2311.15131, appendix B.5.
    """
    runs = [("source", "nothing"), *(("patched", w) for w in found.written), ("base", "nothing")]
    result = []
    for count, of_count in zip(found.counts, found.readouts.patched, strict=True):
        of = dict(zip(found.written, of_count, strict=True))
        for run, written in runs:
            p = of[written] if run == "patched" else getattr(found.readouts, run)
            names = {"run": run, "written": written, **_personas(config), "positions": count}
            result.append(names | run_points.point(found.cases, p))
    return result


def by_block(found: Blocks, config: patch.Config) -> Rows:
    """Accuracy and truth with each block of the prompt written, left out, and random positions.

    Returns
    -------
    list of dict
        Of plots/positions/blocks.json: one row a block and run; `all` stands for every block, and
        unpatched runs stand at each. `positions` is the mean number of them; a rate of
        ``elsewhere`` is that of all draws.
    """
    numbers = list(found.n_written.values())
    result = []
    for block in (*BLOCKS, ALL):
        for run in RUNS:
            if run in ("source", "base"):
                n, p = [np.zeros(len(found.cases.table))], getattr(found.readouts, run)[None]
            else:
                of = [i for i, w in enumerate(found.n_written) if (w.run, w.block) == (run, block)]
                n, p = [numbers[i] for i in of], found.readouts.patched[of]
            if n:
                result.append(
                    {"block": block, "run": run, **_personas(config)}
                    | {"positions": float(np.mean(n)) if np.size(n) else None}
                    | _point(found.cases, p)
                )
    return result


def summarise(
    counts: Counts, blocks: Blocks, by_count: Rows, by_block: Rows, config: patch.Config
) -> dict[str, Any]:
    """Collect accuracy by number of positions and by block.

    Parameters
    ----------
    counts, blocks : Counts and Blocks
        The runs.
    by_count, by_block : list of dict
        From the functions of these names.
    config : Config
        Section `patch`.

    Returns
    -------
    dict
        What metrics/positions.json holds.
    """
    of_blocks: dict[str, Any] = {}
    for block in dict.fromkeys(writing.block for writing in blocks.n_written):
        own = {row["run"]: row for row in by_block if row["block"] == block}
        of_blocks[block] = {
            run: run_points.numbers(row) | {"positions": row["positions"]}
            for run, row in own.items()
            if run not in ("source", "base")
        }
        of_blocks[block]["difference"] = _differences(blocks, block)
    return {
        "source": config.source,
        "base": config.base,
        "counts": {
            written: {
                str(row["positions"]): run_points.numbers(row)
                for row in by_count
                if row["written"] == written
            }
            for written in counts.written
        },
        "blocks": of_blocks,
        "unpatched": {
            name: {
                run: run_points.point(found.cases, getattr(found.readouts, run))
                for run in ("source", "base")
            }
            for name, found in (("counts", counts), ("blocks", blocks))
        },
        "known": {
            name: cases.count(found.cases.table)
            for name, found in (("counts", counts), ("blocks", blocks))
        },
    }


def _differences(found: Blocks, block: str) -> dict[str, Any]:
    """What a block does beyond nothing, beyond random positions, and to all the others."""
    label, subject = found.cases.label, found.cases.subject

    def mean(run: str, of: str) -> np.ndarray:
        """Mean over draws, in each statement, of whether the answer is right, and of truth."""
        some = [i for i, w in enumerate(found.n_written) if (w.run, w.block) == (run, of)]
        p = found.readouts.base[None] if run == "base" else found.readouts.patched[some]
        return np.stack([patch.correct(p, label).mean(0), patch.truth(p, label).mean(0)])

    pairs = {"alone - base": (("alone", block), ("base", ""))}
    if block != ALL:
        pairs["all - left_out"] = (("alone", ALL), ("left_out", block))
    if any((w.run, w.block) == ("elsewhere", block) for w in found.n_written):
        pairs["alone - elsewhere"] = (("alone", block), ("elsewhere", block))
    return {
        name: {
            measured: stats.difference(a, b, subject).row()
            for measured, a, b in zip(("accuracy", "truth"), mean(*one), mean(*other), strict=True)
        }
        for name, (one, other) in pairs.items()
    }


def _point(found: Cases, draws: np.ndarray) -> dict[str, Any]:
    """Rate and truth over all draws, (n_draws, n_statements, 2); draws of a subject are not new."""
    correct = patch.correct(draws, found.label)
    accuracy = stats.rate(correct.ravel(), np.tile(found.subject, len(draws)))
    truth = stats.mean(patch.truth(draws, found.label).ravel(), np.tile(found.subject, len(draws)))
    row = replace(accuracy, n=correct.shape[1]).row("accuracy")
    return row | run_points.beside("truth", truth)


def _rows(
    found: Cases,
    probabilities: np.ndarray,
    personas: tuple[str, str],
    patch_id: str,
    columns: dict[str, Any],
) -> pl.DataFrame:
    """Rows of one run; columns that are not given stay empty."""
    table = patched_runs.rows(found, probabilities, *personas, patch_id).drop("heads")
    names = [name for name in SCHEMA if name not in tables.PATCHED]
    return table.with_columns(
        (value if isinstance(value := columns.get(name), pl.Series) else pl.lit(value))
        .cast(SCHEMA[name])
        .alias(name)
        for name in names
    )


def _personas(config: patch.Config) -> dict[str, str]:
    """Personas that z is from and that is written into."""
    return {"source": config.source, "base": config.base}
