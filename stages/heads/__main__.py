"""Stage `heads`: a small set of heads in the best window that keeps the window's effect.

Params  heads, patch, readout, the wordings of both personas (copied into the set)
"""

from pathlib import Path
from typing import Annotated, Any

import polars as pl

from stages.heads import search, table
from stages.heads.config import HeadsConfig
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.head_runs import HeadRuns


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    window: Annotated[Path, "the best window, in which heads are searched (JSON)"],
    heads: Annotated[Path, "writes the head set, and how it was chosen (JSON)"],
    out: Annotated[Path, "writes one row per statement and head set (Parquet)"],
) -> None:
    """Search on the selection split only; `transplant` scores the set on the report split."""
    section = params.section("heads", HeadsConfig)
    best = tables.read_json(window)["window"]
    setting = experiment.load(pairs, model, ("selection",), section.limit)
    search_pairs, config, (n_layers, n_heads) = setting.pairs, setting.config, setting.shape
    result = {"heads": [], "chosen_by": table.NOTHING}
    rows = pl.DataFrame(schema=table.SCHEMA)
    provenance = _provenance(setting.lm.identity, search_pairs, config)
    if best:
        runs = HeadRuns(setting.patcher(keep=True), search_pairs, setting.shape, "heads")
        search_result = search.search(runs, best, section.keep)
        result = {
            "heads": sorted(search_result.order),
            "chosen_by": _how(section.keep, search_result.gains),
        }
        rows = table.rows(
            search_pairs,
            config,
            search_result.sets,
            search_result.probabilities,
            search_result.order,
            n_layers * n_heads,
        )
    if forward.is_main_process():
        tables.write(out, rows, table.SCHEMA, ["statement_id", "patch_id"])
        tables.write_json(heads, result | {"window": best} | provenance)


def _how(keep: float, gains: bool) -> str:
    """Describe how the set was chosen."""
    how = f"greedy on the mean probability of the right answer, until {keep} of the window's "
    return how + (
        "gain is kept" if gains else "gain is kept; it gains nothing, so the set is empty"
    )


def _provenance(
    identity: str, search_pairs: prompt_pairs.PromptPairs, config: PatchConfig
) -> dict[str, Any]:
    """Record the model, wordings and statements that the set was chosen on."""
    return {
        "model": identity,
        "question": params.wording("question"),
        **{
            role: {
                "persona": persona,
                "system": params.wording(f"{persona}_system"),
                "prefix": params.wording(f"{persona}_prefix"),
            }
            for role, persona in (("source", config.source), ("base", config.base))
        },
        "split": "selection",
        "topics": sorted(set(search_pairs.table["topic"])),
        "n_statements": len(search_pairs.table),
        "positions": config.positions,
    }


if __name__ == "__main__":
    cli.run(main)
