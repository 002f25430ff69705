"""Tables of probe results in data/probes, which stage `probes` writes and other stages read."""

from collections.abc import Mapping
from pathlib import Path

import polars as pl

from stages.lib.io import tables
from stages.lib.io.tables import Row

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


def write(
    folder: Path, layers: list[Row], falls: Mapping[str, Mapping[str, Mapping[str, object]]]
) -> None:
    """Write the accuracy by layer, and the layers at which directions diverge.

    Parameters
    ----------
    folder : Path
        Folder for ``layers.parquet`` and ``falls.parquet``.
    layers : list of dict
        Output of `probe_tables.layers`.
    falls : dict of str to dict
        Output of `probe_tables.falls`: by site, first and second persona.
    """
    accuracy = pl.DataFrame(layers, schema=LAYERS)
    tables.write(folder / "layers.parquet", accuracy, LAYERS, list(LAYERS)[:5])
    rows: list[Row] = [
        {"site": site, "first": first, "second": second, **vars(fall)}
        for site, pairs in falls.items()
        for first, falls_by_second in pairs.items()
        for second, fall in falls_by_second.items()
    ]
    fall_table = pl.DataFrame(rows, schema=FALLS)
    tables.write(folder / "falls.parquet", fall_table, FALLS, list(FALLS)[:3])


def layers(folder: Path) -> pl.DataFrame:
    """Read the accuracy of each probe by layer: columns of `LAYERS`, null where n is 0."""
    return tables.read(folder / "layers.parquet", LAYERS, {"accuracy", "low", "high"})


def falls(folder: Path) -> pl.DataFrame:
    """Read the first layer at which two personas' directions have diverged, or null: `FALLS`."""
    return tables.read(folder / "falls.parquet", FALLS, {"falls_below_half"})
