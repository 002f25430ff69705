"""Stage `probes`: where a linear probe reads the truth, for every persona from every persona.

Params  personas, probes
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import numpy as np
from safetensors.numpy import save

from stages.lib import shards
from stages.lib.io import alignment, cli, params, tables
from stages.lib.io.cli import UserError
from stages.lib.io.whole import whole
from stages.lib.probing import probe, probe_tables
from stages.lib.probing.config import ProbesConfig


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
    n_layers, n_heads = readers[0].n_layers, readers[0].n_heads
    found = {}
    for site, shape in {"resid_post": (n_layers + 1, 1), "z": (n_layers, n_heads)}.items():
        found[site] = probe.survey(_places(readers, site, shape[0]), design, settings, shape, site)

    _save(out / "directions.safetensors", probe_tables.tensors(found), personas)
    layers = probe_tables.layers(found, personas, design)
    cosine = probe_tables.cosine(found, personas)
    tables.write_rows(plots / "layers.json", layers)
    tables.write_rows(plots / "heads.json", probe_tables.heads(found, personas, design))
    tables.write_rows(plots / "cosine.json", cosine)
    summary = probe_tables.counts(design)
    summary["best"] = probe_tables.best(found, personas, design)
    summary["cosine"] = probe_tables.falls(cosine, layers, design)
    tables.write_json(metrics, summary)


def _places(readers: list[shards.Reader], site: str, n_layers: int) -> Iterator[np.ndarray]:
    """Activations (n_personas, n_statements, d) of every head of every layer, read by layer."""
    for layer in range(n_layers):
        parts = [reader.layer(site, layer) for reader in readers]
        for reader, part in zip(readers, parts, strict=True):
            if not np.isfinite(part).all():
                raise UserError(f"{reader.folder}: {site} of layer {layer} is not finite")
        stacked = np.stack(parts)  # (n_personas, n_statements, [n_heads,] d)
        yield from [stacked] if stacked.ndim == 3 else np.moveaxis(stacked, 2, 0)


def _save(file: Path, tensors: dict[str, np.ndarray], personas: tuple[str, ...]) -> None:
    """Write tensors; one metadata key, since safetensors writes several in random order."""
    with whole(file) as partial:
        partial.write_bytes(save(tensors, metadata={"personas": json.dumps(personas)}))


if __name__ == "__main__":
    cli.run(main)
