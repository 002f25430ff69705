"""Rows of the runs that sets are chosen by, and of the sets' own."""

import polars as pl

from stages.lib.forward import Readouts
from stages.lib.patching import patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness.head_sets import HeadSet, reversible
from stages.robustness.robustness import Alone, Scored
from stages.robustness.schema import SCHEMA


def single_rows(alone: Alone, config: PatchConfig) -> pl.DataFrame:
    """Rows of the runs of one wording that sets are chosen by."""
    named = [(f"alone {head.layer}.{head.head}", [head]) for head in alone.heads]
    parts = [
        *_unpatched(alone.pairs, alone.readouts, config),
        *(
            patched_runs.rows(alone.pairs, p, config.source, config.base, name, heads)
            for (name, heads), p in zip(named, alone.readouts.patched, strict=True)
        ),
    ]
    columns = {"wording": alone.wording, "chosen_on": "", "set": ""}
    return pl.concat(parts).with_columns(**{k: pl.lit(v) for k, v in columns.items()})


def rows(scored: Scored, sets: list[HeadSet], config: PatchConfig) -> pl.DataFrame:
    """Rows of one wording's scored sets, in both directions, and of its unpatched runs."""
    about, names = scored.pairs, {"chosen_on": pl.lit(""), "set": pl.lit("")}
    parts = [part.with_columns(**names) for part in _unpatched(about, scored.into_base, config)]
    into_base = zip(sets, scored.into_base.patched, strict=True)
    into_source = zip(reversible(sets), scored.into_source.patched, strict=True)
    directions = (
        (into_base, config.source, config.base),
        (into_source, config.base, config.source),
    )
    for pairs, source, base in directions:
        for one, p in pairs:
            name = f"{one.chosen_on} {one.name}"
            names = {"chosen_on": pl.lit(one.chosen_on), "set": pl.lit(one.name)}
            part = patched_runs.rows(about, p, source, base, name, one.heads)
            parts.append(part.with_columns(**names))
    return pl.concat(parts).with_columns(wording=pl.lit(scored.wording)).select(list(SCHEMA))


def _unpatched(pairs: PromptPairs, readouts: Readouts, config: PatchConfig) -> list[pl.DataFrame]:
    """Rows of the source and of the base run."""
    runs = ((readouts.source, config.source), (readouts.base, config.base))
    return [patched_runs.rows(pairs, p, persona, persona) for p, persona in runs]
