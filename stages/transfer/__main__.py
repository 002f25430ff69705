"""Stage `transfer`: what probes of several kinds read where they were not fitted.

Params  personas, probes (of logistic regression), transfer
"""

from functools import partial
from pathlib import Path
from typing import Annotated

import numpy as np

from stages.lib import shards
from stages.lib.io import alignment, cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.probing import probe, probe_tables
from stages.lib.probing.config import ProbesConfig
from stages.transfer import best, forms, layers, measured, rows, sample
from stages.transfer.config import TransferConfig
from stages.transfer.found import Found


def main(
    statements: cli.Statements,
    activations: cli.Activations,
    known: cli.Known,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes tables of layers, personas, splits, polarity and cosines (JSON) into this folder",
    ],
) -> None:
    """Fit the probes and write metrics and plot tables."""
    settings, personas = params.section("transfer", TransferConfig), params.personas()
    logistic = params.section("probes", ProbesConfig)
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
    drawn = sample.draw(design, forms.read(table), settings, logistic)
    n_layers = readers[0].n_layers + 1
    place = partial(_place, readers)
    swept = layers.sweep(map(place, range(n_layers)), drawn, n_layers)
    at_best = best.examine(place, drawn, layers.best(swept))
    found = Found(swept, at_best, drawn, personas)

    tables.write_rows(plots / "layers.json", rows.layers(found))
    tables.write_rows(plots / "personas.json", rows.personas(found))
    tables.write_rows(plots / "splits.json", rows.splits(found, table))
    tables.write_rows(plots / "polarity.json", rows.polarity(found))
    tables.write_rows(plots / "cosine.json", rows.cosine(found))
    tables.write_rows(plots / "cosine_splits.json", rows.cosine_splits(found))
    tables.write_rows(plots / "cosine_layers.json", rows.cosine_layers(found))
    summary = probe_tables.counts(design)
    summary["methods"] = measured.methods(found)
    summary["bag_of_tokens"] = measured.bag_of_tokens(found, table)
    summary["parting"] = measured.parts(found)
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
