"""Rows of the single-head runs that sets are chosen by, and of the runs of the sets."""

import polars as pl

from stages.lib.forward import Readouts
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness.head_sets import HeadSet, reversible
from stages.robustness.robustness import Scored, SingleHeadRuns
from stages.robustness.schema import SCHEMA


def single_rows(single_head_runs: SingleHeadRuns, config: PatchConfig) -> pl.DataFrame:
    """Return rows of one wording's single-head runs, by which sets are chosen."""
    named_heads = [(f"alone {head.layer}.{head.head}", [head]) for head in single_head_runs.heads]
    parts = [
        *_unpatched(single_head_runs.pairs, single_head_runs.readouts, config),
        *(
            patched_runs.rows(single_head_runs.pairs, p, config.source, config.base, name, heads)
            for (name, heads), p in zip(named_heads, single_head_runs.readouts.patched, strict=True)
        ),
    ]
    columns = {"wording": single_head_runs.wording, "chosen_on": "", "set": ""}
    return pl.concat(parts).with_columns(**{k: pl.lit(v) for k, v in columns.items()})


def rows(scored: Scored, sets: list[HeadSet], config: PatchConfig) -> pl.DataFrame:
    """Return rows of one wording's sets, in both directions, and of its unpatched runs."""
    about, names = scored.pairs, {"chosen_on": pl.lit(""), "set": pl.lit("")}
    parts = [part.with_columns(**names) for part in _unpatched(about, scored.into_base, config)]
    into_base = zip(sets, scored.into_base.patched, strict=True)
    into_source = zip(reversible(sets), scored.into_source.patched, strict=True)
    directions = (
        (into_base, config.source, config.base),
        (into_source, config.base, config.source),
    )
    for pairs, source, base in directions:
        for head_set, p in pairs:
            name = f"{head_set.chosen_on} {head_set.name}"
            names = {"chosen_on": pl.lit(head_set.chosen_on), "set": pl.lit(head_set.name)}
            part = patched_runs.rows(about, p, source, base, name, head_set.heads)
            parts.append(part.with_columns(**names))
    return pl.concat(parts).with_columns(wording=pl.lit(scored.wording)).select(list(SCHEMA))


def _unpatched(pairs: PromptPairs, readouts: Readouts, config: PatchConfig) -> list[pl.DataFrame]:
    """Rows of the source and of the base run."""
    runs = ((readouts.source, config.source), (readouts.base, config.base))
    return [patched_runs.rows(pairs, p, persona, persona) for p, persona in runs]
