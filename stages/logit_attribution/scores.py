"""Scores of `logit_attribution`: what each part adds, and where two runs diverge.

Params  patch
"""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from stages.lib.io import cli, params, records, tables
from stages.lib.io.tables import Row
from stages.lib.patching.config import PatchConfig
from stages.logit_attribution import schema
from stages.logit_attribution import scores_contributions as attribution
from stages.logit_attribution import scores_lens as lens
from stages.logit_attribution import scores_measured as measured
from stages.logit_attribution import scores_points as points
from stages.logit_attribution.metrics import LogitAttributionMetrics, Measured
from stages.logit_attribution.schema import ROLES, LogitParts
from stages.logit_attribution.scores_contributions import RUNS

Results = tuple[Measured, dict[str, list[Row]]]  # metrics, and rows of each plot table


def main(
    pairs: cli.Pairs,
    runs: Annotated[Path, "parts of both runs' logits (safetensors)"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes layers.json, heads.json and lens.json into this folder"],
) -> None:
    """Compare two runs on the same statements."""
    config = params.section("patch", PatchConfig)
    split, personas = schema.read(runs), (config.source, config.base)
    all_pairs = tables.read(pairs, tables.PAIRS)
    about = all_pairs.filter(pl.col("statement_id").is_in(split.statement_ids))
    label, subject = about["label"].to_numpy(), about["subject"].to_numpy()
    results, rows = make(split, personas, label, subject) if split.runs else null_results()
    n = len(split.statement_ids)
    run_facts: dict[str, Any] = {**config.personas, "n": n, "reason": split.reason}
    records.write(metrics, LogitAttributionMetrics(**vars(results), **run_facts))
    for name, plot_rows in rows.items():
        tables.write_rows(plots / f"{name}.json", plot_rows)


def make(
    split: LogitParts, personas: tuple[str, str], label: NDArray[np.bool_], subject: NDArray[Any]
) -> Results:
    """Measure what the parts of both runs add to the answer.

    Parameters
    ----------
    split : LogitParts
        Parts of both runs.
    personas : pair of str
        Names of the source and of the base.
    label, subject : ndarray of shape (n_statements,)
        Whether each statement is true, and what it is about.

    Returns
    -------
    tuple of Measured and dict
        Metrics, and rows of each plot table.
    """
    names = dict(zip(RUNS, (*personas, " - ".join(personas)), strict=True))
    source, base = (split.runs[role] for role in ROLES)
    tokens = attribution.pair([source.log_p, base.log_p], split.n_true)
    first, second = (attribution.contributions(x, tokens, label) for x in (source, base))
    p_correct = [lens.p_correct(lens.log_odds(x.lens, label)) for x in (source, base)]
    divergence = lens.divergence(p_correct[0] - p_correct[1], subject)
    plots = {
        "layers": points.layers(first, second, subject, names),
        "heads": points.heads(first, second, subject, names),
        "lens": points.lenses(source.lens, base.lens, label, subject, names),
    }
    return measured.measured(first, second, tokens, divergence, split, subject), plots


def null_results() -> Results:
    """Return the results where nothing was measured: metrics of nulls, and no rows."""
    return measured.null_results(), {name: [] for name in ("layers", "heads", "lens")}


if __name__ == "__main__":
    cli.run(main)
