"""Stage `inspect`: measure single statements in detail, for the explorer.

Params  inspect, patch, readout
"""

import warnings
from pathlib import Path
from typing import Annotated

import polars as pl

from stages.inspect import attention, runs, traced_heads
from stages.inspect.config import InspectConfig
from stages.lib import forward, inspection
from stages.lib.inspection import Inspection
from stages.lib.io import cli, params, records, tables
from stages.lib.model import lm, readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.patching import head_effects, patch, prompt_pairs
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment
from stages.lib.patching.head_set import HeadSet
from stages.lib.patching.prompt_pairs import PromptPairs
from stages.trace import schema as trace_schema


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    heads: cli.HeadSet,
    attribution_patching: Annotated[
        Path, "measured effects of heads; the statements of this table are inspected too (Parquet)"
    ],
    trace: Annotated[
        Path,
        "runs of stage `trace`; attention is read for the heads that recover most in the cells "
        "that matter, too (Parquet)",
    ],
    out: Annotated[Path, "writes lens, attention and head effects by statement (safetensors)"],
) -> None:
    """Inspect statements of the report split, and the statements with measured head effects."""
    config = params.section("patch", PatchConfig)
    config.require_z("inspect")
    words = params.section("readout", ReadoutConfig)
    limit = params.section("inspect", InspectConfig).limit
    swept_ids = tables.read(attribution_patching, head_effects.EFFECTS)["statement_id"]
    all_pairs = tables.read(pairs, tables.PAIRS)
    inspected_pairs = _statements(all_pairs, swept_ids, limit)
    head_set = records.read(heads, HeadSet).heads
    trace_runs = tables.read(trace, trace_schema.RUNS, nullable=("layer", "block", "head"))
    about = all_pairs.select("statement_id", "label")
    shown_heads = sorted({*head_set, *traced_heads.best(trace_runs, about, config.base)})
    language_model = lm.load(model)
    answers = readout.answers_of(language_model, words)
    setting = Experiment(config, inspected_pairs, language_model, answers)
    run_results = runs.look(setting, patch.of_heads([head_set], *setting.shape)[0])
    attention_results = attention.look(
        language_model, [inspected_pairs.source, inspected_pairs.base], shown_heads
    )
    if not forward.is_main_process():
        return
    reasons = run_results.reasons | attention_results.reasons
    for name, reason in reasons.items():
        warnings.warn(f"inspect: no {name}: {reason}", stacklevel=2)
    inspection.write(
        out,
        Inspection(
            statement_ids=inspected_pairs.table["statement_id"].to_list(),
            heads=[list(head) for head in shown_heads],
            answers=run_results.answers,
            lens=run_results.lens,
            effects=run_results.effects,
            last=attention_results.last,
            prefix=attention_results.prefix,
            reasons=reasons,
        ),
    )


def _statements(table: pl.DataFrame, swept_ids: pl.Series, limit: int | None) -> PromptPairs:
    """Select statements of the report split, known or not, and those with every head patched."""
    report = table.filter(pl.col("split") == "report")
    chosen = prompt_pairs.sample(report, limit, ["topic", "label"])["statement_id"]
    ids = pl.concat([chosen, swept_ids]).unique()
    table = table.filter(pl.col("statement_id").is_in(ids.implode()))
    if table.is_empty():
        raise cli.UserError(
            "params.yaml: statements: found no statement in the report split, expected at least one"
        )
    first = table.row(0, named=True)
    return PromptPairs(
        table,
        table["source_ids"].to_list(),
        table["base_ids"].to_list(),
        first["source_prefix_ids"],
        first["base_prefix_ids"],
    )


if __name__ == "__main__":
    cli.run(main)
