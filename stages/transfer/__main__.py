"""Stage `transfer`: fit truth probes by several methods, and score how they transfer.

Params  personas, probes (of logistic regression), transfer
"""

from functools import partial
from pathlib import Path
from typing import Annotated

from stages.lib.io import cli, params, records, tables
from stages.lib.probing import counts, inputs
from stages.lib.probing.config import ProbesConfig
from stages.transfer import best, forms, layers, measured, rows, sample
from stages.transfer.config import TransferConfig
from stages.transfer.fits import Fits
from stages.transfer.metrics import TransferMetrics


def main(
    statements: cli.Statements,
    activations: cli.Activations,
    known: cli.Known,
    metrics: cli.Metrics,
    plots: Annotated[
        Path,
        "writes tables of layers, personas, topics, polarity and cosines (JSON) into this folder",
    ],
) -> None:
    """Fit the probes and write metrics and plot tables."""
    settings, personas = params.section("transfer", TransferConfig), params.personas()
    logistic = params.section("probes", ProbesConfig)
    probe_inputs = inputs.read(statements, known, activations, personas)
    table, design = probe_inputs.table, probe_inputs.design
    drawn_sample = sample.draw(design, forms.read(table), settings, logistic)
    n_layers = probe_inputs.readers[0].n_layers + 1
    place = partial(probe_inputs.layer, "resid_post")
    layer_fits = layers.sweep(map(place, range(n_layers)), drawn_sample, n_layers)
    best_fits = best.examine(place, drawn_sample, layers.best(layer_fits))
    fits = Fits(layer_fits, best_fits, drawn_sample, personas)

    tables.write_rows(plots / "layers.json", rows.layers(fits))
    tables.write_rows(plots / "personas.json", rows.personas(fits))
    tables.write_rows(plots / "topics.json", rows.topics(fits, table))
    tables.write_rows(plots / "polarity.json", rows.polarity(fits))
    tables.write_rows(plots / "cosine.json", rows.cosine(fits))
    tables.write_rows(plots / "cosine_topics.json", rows.cosine_topics(fits))
    tables.write_rows(plots / "cosine_layers.json", rows.cosine_layers(fits))
    summary = TransferMetrics(
        **vars(counts.of(design)),
        methods=measured.methods(fits),
        bag_of_tokens=measured.bag_of_tokens(fits, table),
        divergence=measured.divergences(fits),
    )
    records.write(metrics, summary)


if __name__ == "__main__":
    cli.run(main)
