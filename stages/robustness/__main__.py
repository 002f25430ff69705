"""Stage `robustness`: head sets chosen on one topic or wording, scored on every other.

Params  patch, readout, robustness, the wordings of both personas
"""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.lib import chat, forward
from stages.lib.chat import Named
from stages.lib.io import cli, params, records, tables
from stages.lib.patching import experiment, layer_window, prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.head_set import HeadSet
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.robustness import rewording, robustness, robustness_tables, schema, wordings
from stages.robustness.config import RobustnessConfig
from stages.robustness.wordings import DEFAULT, Rewording

WHERE = "params.yaml: robustness.wordings"


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    out: Annotated[Path, "writes one row per statement, wording and run (Parquet)"],
) -> None:
    """Choose head sets on the selection split, and score them on the report split."""
    options = params.section("robustness", RobustnessConfig)
    config = params.section("patch", PatchConfig)
    default = wordings.of_prompt(config.source, config.base)
    further_wordings = wordings.named(WHERE, options.wordings, default)
    search = records.read(heads, HeadSet)
    setting = experiment.load(pairs, model, ("report",), options.limit, by="topic")
    selection_pairs = prompt_pairs.read(pairs, ("selection",), options.choose, by="topic")
    texts = _texts(pairs)
    choosing, scoring = (  # all prompts before any run: a wording may be refused
        _settings(setting, split_pairs, further_wordings, texts)
        for split_pairs in (selection_pairs, setting.pairs)
    )
    window_heads = layer_window.heads(search.window, setting.shape[1])
    single_head_runs = {
        name: robustness.single_head_runs(name, own, window_heads if search.heads else [])
        for name, own in choosing.items()
    }
    sets = robustness.choose(single_head_runs, search.heads, window_heads, DEFAULT)
    scored_sets = [robustness.score(name, own, sets) for name, own in scoring.items()]
    if not forward.is_main_process():
        return
    rows = [robustness_tables.single_rows(runs, config) for runs in single_head_runs.values()]
    rows += [robustness_tables.rows(runs, sets, config) for runs in scored_sets]
    key = ["statement_id", "wording", "source", "base", "patch_id"]
    tables.write(out, pl.concat(rows), schema.SCHEMA, key)


def _texts(pairs: Path) -> dict[str, Named]:
    """Every statement and its origin, by id."""
    table = tables.read(pairs, tables.PAIRS)
    return dict(zip(table["statement_id"], chat.named(table, pairs), strict=True))


def _settings(
    setting: Experiment,
    pairs: PromptPairs,
    further_wordings: dict[str, Rewording],
    texts: dict[str, Named],
) -> dict[str, Experiment]:
    """The same statements in every wording, the default one first."""
    result = {DEFAULT: replace(setting, pairs=pairs)}
    for name, wording in further_wordings.items():
        own = rewording.reworded(f"{WHERE}.{name}", pairs, texts, wording, setting.lm)
        result[name] = replace(setting, pairs=own)
    return result


if __name__ == "__main__":
    cli.run(main)
