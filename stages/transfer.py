"""Stage `transfer`: what probes of several kinds read where they were not fitted.

Reads   --statements, --known (Parquet), --activations (a folder of shards for each persona)
Writes  --metrics (JSON), --plots (JSON: layers, personas, splits, polarity, and cosines)
Params  personas, probes (of logistic regression), transfer
"""

from functools import lru_cache
from pathlib import Path

import numpy as np

from stages.lib import (
    alignment,
    cli,
    forms,
    params,
    probe,
    probe_tables,
    shards,
    tables,
    transfer,
    transfer_tables,
)
from stages.lib.cli import UserError


def main(statements: Path, activations: Path, known: Path, metrics: Path, plots: Path) -> None:
    """Fit the probes and write metrics and plot tables."""
    settings, personas = params.section("transfer", transfer.Config), params.personas()
    logistic = params.section("probes", probe.Config)
    table = tables.read(statements, tables.STATEMENTS)
    knowledge = tables.read(known, tables.KNOWN)
    alignment.require(known, knowledge["statement_id"], table["statement_id"])
    readers = [shards.Reader(activations / persona) for persona in personas]
    for reader in readers:
        alignment.require(reader.folder, reader.statement_ids, table["statement_id"])

    design = probe.design(
        table["label"].to_numpy(),
        table["subject"].to_numpy(),
        (table["part"] == "selection").to_numpy(),
        knowledge["known"].to_numpy(),
    )
    sample = transfer.sample(design, forms.read(table), settings, logistic)
    n_layers = readers[0].n_layers + 1

    @lru_cache(maxsize=1)
    def place(layer: int) -> np.ndarray:
        return _place(readers, layer)

    swept = transfer.sweep(map(place, range(n_layers)), sample, n_layers)
    best = transfer.examine(place, sample, transfer.best_layers(swept))
    found = transfer_tables.Found(swept, best, sample, personas)

    tables.write_rows(plots / "layers.json", transfer_tables.layers(found))
    tables.write_rows(plots / "personas.json", transfer_tables.personas(found))
    tables.write_rows(plots / "splits.json", transfer_tables.splits(found, table))
    tables.write_rows(plots / "polarity.json", transfer_tables.polarity(found))
    tables.write_rows(plots / "cosine.json", transfer_tables.cosine(found))
    tables.write_rows(plots / "cosine_splits.json", transfer_tables.cosine_splits(found))
    tables.write_rows(plots / "cosine_layers.json", transfer_tables.cosine_layers(found))
    summary = probe_tables.counts(design)
    summary["methods"] = transfer_tables.methods(found)
    summary["bag_of_tokens"] = transfer_tables.bag_of_tokens(found, table)
    summary["parting"] = transfer_tables.parts(found)
    tables.write_json(metrics, summary)


def _place(readers: list[shards.Reader], layer: int) -> np.ndarray:
    """Residual streams of all personas at one layer, (n_personas, n_statements, d)."""
    stacked = np.stack([reader.layer("resid_post", layer) for reader in readers])
    for reader, part in zip(readers, stacked, strict=True):
        if not np.isfinite(part).all():
            raise UserError(f"{reader.folder}: resid_post of layer {layer} is not finite")
    return stacked


if __name__ == "__main__":
    cli.run(main)
