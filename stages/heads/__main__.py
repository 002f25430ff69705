"""Stage `heads`: a small set of heads in the best window that keeps the window's effect.

Params  heads, patch, readout, the wordings of both personas (copied into the set)
"""

from pathlib import Path
from typing import Annotated

import polars as pl

from stages.heads import schema, search
from stages.heads.config import HeadsConfig
from stages.lib import forward
from stages.lib.io import cli, params, records, tables
from stages.lib.patching import experiment
from stages.lib.patching.best_window import BestWindow
from stages.lib.patching.head_runs import HeadRuns
from stages.lib.patching.head_set import HeadSet, Persona


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    window: Annotated[Path, "the best window, in which heads are searched (JSON)"],
    heads: Annotated[Path, "writes the head set, and how it was chosen (JSON)"],
    out: Annotated[Path, "writes one row per statement and head set (Parquet)"],
) -> None:
    """Search on the selection split only; `transplant` scores the set on the report split."""
    section = params.section("heads", HeadsConfig)
    best = records.read(window, BestWindow).window
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    search_pairs, config, (n_layers, n_heads) = setting.pairs, setting.config, setting.shape
    set_heads, chosen_by = [], schema.NOTHING
    rows = pl.DataFrame(schema=schema.SCHEMA)
    if best:
        runs = HeadRuns(setting.patcher(keep=True), search_pairs, setting.shape, "heads")
        search_result = search.search(runs, best, section.keep)
        set_heads = sorted(search_result.order)
        chosen_by = _how(section.keep, search_result.gains)
        rows = schema.rows(
            search_pairs,
            config,
            search_result.sets,
            search_result.probabilities,
            search_result.order,
            n_layers * n_heads,
        )
    if forward.is_main_process():
        tables.write(out, rows, schema.SCHEMA, ["statement_id", "patch_id"])
        head_set = HeadSet(
            heads=set_heads,
            chosen_by=chosen_by,
            window=best,
            model=setting.lm.identity,
            question=params.wording("question"),
            source=_persona(config.source),
            base=_persona(config.base),
            split="selection",
            topics=sorted(set(search_pairs.table["topic"])),
            n_statements=len(search_pairs.table),
            positions=config.positions,
        )
        records.write(heads, head_set)


def _how(keep: float, gains: bool) -> str:
    """Describe how the set was chosen."""
    how = f"greedy on the mean probability of the right answer, until {keep} of the window's "
    return how + (
        "gain is kept" if gains else "gain is kept; it gains nothing, so the set is empty"
    )


def _persona(name: str) -> Persona:
    """Copy the wordings of a persona from params.yaml."""
    return Persona(name, params.wording(f"{name}_system"), params.wording(f"{name}_prefix"))


if __name__ == "__main__":
    cli.run(main)
