"""Stage `probes`: truth probes by layer and head, fitted on each persona and scored on each.

Params  personas, probes
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np

from stages.lib.io import arrays, cli, params, records, tables
from stages.lib.probing import counts, inputs, probe, probe_files
from stages.lib.probing.config import ProbesConfig
from stages.lib.probing.inputs import Inputs
from stages.probes import probe_tables, separation
from stages.probes.metrics import ProbesMetrics


def main(
    statements: cli.Statements,
    activations: cli.Activations,
    known: cli.Known,
    out: Annotated[Path, "writes directions (safetensors)"],
    metrics: cli.Metrics,
    plots: Annotated[Path, "writes layers.json, heads.json and cosine.json into this folder"],
) -> None:
    """Fit the probes and write directions, metrics and plot tables."""
    settings, personas = params.section("probes", ProbesConfig), params.personas()
    probe_inputs = inputs.read(statements, known, activations, personas)
    design, n_layers, n_heads = (
        probe_inputs.design,
        probe_inputs.readers[0].n_layers,
        probe_inputs.readers[0].n_heads,
    )
    by_site = {}
    for site, shape in {"resid_post": (n_layers + 1, 1), "z": (n_layers, n_heads)}.items():
        by_site[site] = probe.survey(
            _places(probe_inputs, site, shape[0]), design, settings, shape, site
        )

    probe_tensors = probe_tables.tensors(by_site)
    arrays.write(out / "directions.safetensors", probe_tensors, {"personas": personas})
    layers = probe_tables.layers(by_site, personas, design)
    cosine = probe_tables.cosine(by_site, personas)
    tables.write_rows(plots / "layers.json", layers)
    tables.write_rows(plots / "heads.json", probe_tables.heads(by_site, personas, design))
    tables.write_rows(plots / "cosine.json", cosine)
    summary = ProbesMetrics(
        **vars(counts.of(design)),
        best=probe_tables.best(by_site, personas, design),
        by_layer=probe_tables.by_layer(layers),
        auroc=separation.by_layer(probe_inputs, probe_tensors[separation.SITE], personas),
        cosine=probe_tables.falls(cosine, layers, design),
    )
    records.write(metrics, summary)
    probe_files.write(out, layers, summary.cosine)


def _places(probe_inputs: Inputs, site: str, n_layers: int) -> Iterator[np.ndarray]:
    """Yield the activations of each place, (n_personas, n_statements, d), layer by layer."""
    for layer in range(n_layers):
        layer_activations = probe_inputs.layer(site, layer)
        yield from (
            [layer_activations]
            if layer_activations.ndim == 3
            else np.moveaxis(layer_activations, 2, 0)
        )


if __name__ == "__main__":
    cli.run(main)
