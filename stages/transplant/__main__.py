"""Stage `transplant`: the head set on statements that it was not chosen on, beside its controls.

Reads   --pairs, --model, --heads
Writes  --out (one row a statement and run), --metrics (JSON), --plot (one point a split and run)
Params  patch, readout, transplant
"""

from itertools import chain
from pathlib import Path

from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.patching import experiment, patch
from stages.lib.patching.patch import Head
from stages.transplant import transplant_tables
from stages.transplant.config import Config


def main(
    pairs: Path,
    model: Path,
    heads: Path,
    out: Path,
    metrics: Path,
    plot: Path,
) -> None:
    """Score the set on the report part of every split, in both directions."""
    controls = params.section("transplant", Config)
    chosen = [Head(*head) for head in tables.read_json(heads)["heads"]]
    setting = experiment.load(pairs, model, ("report",), controls.limit, by="split")
    found, config = setting.cases, setting.config
    n_layers, n_heads = setting.shape
    n_sets = controls.random_sets if chosen else 0  # of no heads there is only one set
    random = {
        "random": patch.random_sets(chosen, n_heads, n_sets, controls.seed),
        "elsewhere": patch.random_elsewhere(chosen, n_layers, n_heads, n_sets, controls.seed),
    }
    patches = patch.of_heads([chosen, *chain(*random.values())], n_layers, n_heads)
    into_base = setting.patcher()(patches, "into base")
    into_source = setting.reverse()(patches[:1], "into source")
    if not forward.is_main_process():
        return
    runs = transplant_tables.runs(config, chosen, random, into_base, into_source)
    rows = transplant_tables.rows(found, runs)
    tables.write(out, rows, transplant_tables.SCHEMA, ["statement_id", "run", "draw"])
    splits = sorted(set(tables.read(pairs, tables.PAIRS)["split"]))
    points = [
        transplant_tables.point(found, run, split)
        for split in (transplant_tables.ALL, *splits)
        for run in runs
    ]
    tables.write_rows(plot, points)
    tables.write_json(metrics, transplant_tables.summarise(found, runs, points))


if __name__ == "__main__":
    cli.run(main)
