"""Tables of fitted probes in data/probes: stage `probes` writes them, other stages read them."""

from pathlib import Path
from typing import Any

import polars as pl

from stages.lib.io import tables

LAYERS: tables.Schema = {
    "site": pl.String,
    "labels": pl.String,
    "fit": pl.String,
    "scored": pl.String,
    "layer": pl.Int32,
    "accuracy": pl.Float64,
    "low": pl.Float64,
    "high": pl.Float64,
    "n": pl.Int32,
}
FALLS: tables.Schema = {
    "site": pl.String,
    "first": pl.String,
    "second": pl.String,
    "falls_below_half": pl.Int32,
    "layers": pl.Int32,
}


def write(folder: Path, layers: list[dict[str, Any]], falls: dict[str, Any]) -> None:
    """Write accuracy by layer, and where directions diverge.

    Parameters
    ----------
    folder : Path
        Gets ``layers.parquet`` and ``falls.parquet``.
    layers : list of dict
        From `probe_tables.layers`.
    falls : dict
        From `probe_tables.falls`.
    """
    accuracy = pl.DataFrame(layers, schema=LAYERS)
    tables.write(folder / "layers.parquet", accuracy, LAYERS, list(LAYERS)[:5])
    rows: list[dict[str, Any]] = [
        {"site": site, "first": first, "second": second, **vars(fall)}
        for site, pairs in falls.items()
        for first, others in pairs.items()
        for second, fall in others.items()
    ]
    parting = pl.DataFrame(rows, schema=FALLS)
    tables.write(folder / "falls.parquet", parting, FALLS, list(FALLS)[:3])


def layers(folder: Path) -> pl.DataFrame:
    """Accuracy of each probe by layer, with the columns of `LAYERS`; null where n is 0."""
    return tables.read(folder / "layers.parquet", LAYERS, {"accuracy", "low", "high"})


def falls(folder: Path) -> pl.DataFrame:
    """First layer where two personas' directions have diverged, or null: the columns of `FALLS`."""
    return tables.read(folder / "falls.parquet", FALLS, {"falls_below_half"})
