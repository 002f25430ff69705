"""Rows of the single-head runs that sets are chosen by, and of the runs of the sets."""

import polars as pl

from stages.lib.forward import Readouts
from stages.lib.patching import head_effects, patched_runs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness.head_sets import NamedSet, reversible
from stages.robustness.robustness import SetRuns, SingleHeadRuns
from stages.robustness.schema import SCHEMA


def single_rows(single_head_runs: SingleHeadRuns, config: PatchConfig) -> pl.DataFrame:
    """Return rows of one wording's single-head runs, by which sets are chosen."""
    about, readouts = single_head_runs.pairs, single_head_runs.readouts
    columns = {"wording": single_head_runs.wording, "chosen_on": "", "set": ""}
    parts = [_unpatched(about, readouts, config, columns)]
    for head, p in zip(single_head_runs.heads, readouts.patched, strict=True):
        name = head_effects.name(head_effects.ALONE, [head])
        parts.append(
            patched_runs.rows(about, p, config.source, config.base, name, [head], SCHEMA, **columns)
        )
    return pl.concat(parts)


def rows(scored: SetRuns, sets: list[NamedSet], config: PatchConfig) -> pl.DataFrame:
    """Return rows of one wording's sets, in both directions, and of its unpatched runs."""
    about, columns = scored.pairs, {"wording": scored.wording, "chosen_on": "", "set": ""}
    parts = [_unpatched(about, scored.into_base, config, columns)]
    into_base = zip(sets, scored.into_base.patched, strict=True)
    into_source = zip(reversible(sets), scored.into_source.patched, strict=True)
    directions = (
        (into_base, config.source, config.base),
        (into_source, config.base, config.source),
    )
    for pairs, source, base in directions:
        for head_set, p in pairs:
            name = f"{head_set.chosen_on} {head_set.name}"
            columns |= {"chosen_on": head_set.chosen_on, "set": head_set.name}
            parts.append(
                patched_runs.rows(about, p, source, base, name, head_set.heads, SCHEMA, **columns)
            )
    return pl.concat(parts)


def _unpatched(
    pairs: PromptPairs, readouts: Readouts, config: PatchConfig, columns: dict[str, str]
) -> pl.DataFrame:
    """Rows of the source and of the base run."""
    return patched_runs.unpatched(
        pairs, readouts.source, readouts.base, config, schema=SCHEMA, **columns
    )
