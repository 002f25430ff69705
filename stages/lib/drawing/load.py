"""The plot tables, as the figures read them."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from stages.lib.io import tables
from stages.lib.io.cli import UserError

_RATE = {"low": pl.Float64, "high": pl.Float64}
_PAIR = {"fit": pl.String, "scored": pl.String}
_ROLES = {"run": pl.String, "source": pl.String, "base": pl.String}
_TRUTH = {name: pl.Float64 for name in ("truth", "truth_low", "truth_high")}
_EFFECT = {name: pl.Float64 for name in ("effect", "effect_low", "effect_high")}
_CELL = {"layer": pl.Int64, "head": pl.Int64}
_WORDINGS = {"system": pl.String, "question": pl.String, "prefix": pl.String}


def _bounds(name: str) -> tables.Schema:
    """Columns of a rate that stands beside another."""
    return {name: pl.Float64, f"{name}_low": pl.Float64, f"{name}_high": pl.Float64} | {
        f"{name}_n": pl.Int64
    }


_READ = {"run": pl.String, "persona": pl.String}
_GIVEN = {"contribution": pl.Float64, **_RATE, "n": pl.Int64}
SCHEMAS: dict[str, tables.Schema] = {
    "behaviour/accuracy": {"persona": pl.String, "split": pl.String, "measure": pl.String}
    | {"value": pl.Float64, **_RATE, "n": pl.Int64},
    "behaviour/thresholds": {"persona": pl.String, "threshold": pl.Float64}
    | {"accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "probes/layers": {"site": pl.String, "labels": pl.String, **_PAIR, "layer": pl.Int64}
    | {"accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "probes/heads": {**_PAIR, **_CELL, "accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "probes/cosine": {"site": pl.String, "first": pl.String, "second": pl.String}
    | {"layer": pl.Int64, "cosine": pl.Float64},
    "windows/windows": {"part": pl.String, **_ROLES}
    | {"first_layer": pl.Int64, "last_layer": pl.Int64, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, "n": pl.Int64},
    "effects/effects": {"measure": pl.String, **_CELL, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, **_EFFECT, "n": pl.Int64},
    "erasure/windows": {"persona": pl.String, "eraser": pl.String, "draw": pl.Int64}
    | {"size": pl.Int64, "first_layer": pl.Int64, "last_layer": pl.Int64}
    | {"accuracy": pl.Float64, **_RATE, "n": pl.Int64, **_TRUTH}
    | {"truth_mass": pl.Float64, "log_odds": pl.Float64},
    "erasure/probes": {"persona": pl.String, "probe": pl.String, "z": pl.String}
    | {"layer": pl.Int64, "accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "heads/heads": {"measure": pl.String, **_CELL, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, **_EFFECT, "n": pl.Int64},
    "heads/sets": {"size": pl.Int64, **_CELL, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, "kept": pl.Float64, "n": pl.Int64},
    "transplant/transplant": {"split": pl.String, **_ROLES, "draw": pl.Int64}
    | {"accuracy": pl.Float64, **_RATE, **_TRUTH, "n": pl.Int64},
    "widths/layers": {**_ROLES, "size": pl.Int64, "first_layer": pl.Int64, "last_layer": pl.Int64}
    | {"chosen": pl.Boolean, "accuracy": pl.Float64, **_RATE, **_TRUTH, "n": pl.Int64},
    "widths/splits": {"size": pl.Int64, "split": pl.String, **_ROLES, "window": pl.String}
    | {"first_layer": pl.Int64, "last_layer": pl.Int64, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, "n": pl.Int64},
    "positions/counts": {**_ROLES, "written": pl.String, "positions": pl.Int64}
    | {"accuracy": pl.Float64, **_RATE, **_TRUTH, "n": pl.Int64},
    "positions/blocks": {"block": pl.String, **_ROLES, "positions": pl.Float64}
    | {"accuracy": pl.Float64, **_RATE, **_TRUTH, "n": pl.Int64},
    "transfer/layers": {"method": pl.String, "persona": pl.String, "labels": pl.String}
    | {"layer": pl.Int64, "accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "transfer/splits": {"method": pl.String, "persona": pl.String, "layer": pl.Int64, **_PAIR}
    | {"accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "transfer/polarity": {"method": pl.String, "persona": pl.String, "layer": pl.Int64, **_PAIR}
    | {"accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "transfer/cosine": {"method": pl.String, "first": pl.String, "second": pl.String}
    | {"layer": pl.Int64, "cosine": pl.Float64, **_RATE},
    "transfer/cosine_layers": {"persona": pl.String, "first": pl.Int64, "second": pl.Int64}
    | {"cosine": pl.Float64},
    "localisation/layers": {"layer": pl.Int64, "planted": pl.Boolean}
    | {"effect": pl.Float64, **_RATE, "n": pl.Int64},
    "grid/recall": {**_WORDINGS, "split": pl.String}
    | _bounds("recall_true")
    | _bounds("recall_false")
    | {"other": pl.Float64, "other_token": pl.String},
    "grid/ranking": {**_WORDINGS, "rank": pl.Int64, "lying": pl.Float64, **_RATE, "n": pl.Int64},
    "confidence/thresholds": {**_ROLES, "confidence": pl.Float64}
    | {"accuracy": pl.Float64, **_RATE, "n": pl.Int64},
    "estimates/estimates": {**_CELL, **_EFFECT, "n": pl.Int64}
    | {name: pl.Float64 for name in ("estimate", "estimate_low", "estimate_high")},
    "attribution/layers": {"site": pl.String, **_READ, "layer": pl.Int64, **_GIVEN},
    "attribution/heads": {"measure": pl.String, "run": pl.String, **_CELL, **_GIVEN}
    | {"share": pl.Float64},
    "attribution/lens": {"site": pl.String, **_READ, "layer": pl.Int64}
    | {"truth": pl.Float64, **_RATE, "n": pl.Int64}
    | {f"log_odds{end}": pl.Float64 for end in ("", "_low", "_high")}
    | {f"accuracy{end}": pl.Float64 for end in ("", "_low", "_high")}
    | {"truth_mass": pl.Float64},
    "robustness/table": {"wording": pl.String, "chosen_on": pl.String, "set": pl.String}
    | {**_ROLES, "split": pl.String, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, "n": pl.Int64},
    "robustness/overlap": {"first_chosen_on": pl.String, "first": pl.String}
    | {"second_chosen_on": pl.String, "second": pl.String, "jaccard": pl.Float64, "n": pl.Int64},
    "controls/controls": {"split": pl.String, **_ROLES, "measure": pl.String}
    | {"value": pl.Float64, **_RATE, "n": pl.Int64},
    "curves/curves": {"rule": pl.String, "draw": pl.Int64, "direction": pl.String}
    | {"size": pl.Int64, "share": pl.Float64, "accuracy": pl.Float64, **_RATE}
    | {**_TRUTH, "kept": pl.Float64, "n": pl.Int64},
    "curves/areas": {"rule": pl.String, "direction": pl.String, "measure": pl.String}
    | {"against": pl.String, "value": pl.Float64, **_RATE, "n": pl.Int64},
    "curves/smallest": {"rule": pl.String, "size": pl.Int64, "share": pl.Float64}
    | {"accuracy": pl.Float64, **_RATE, **_TRUTH, "n": pl.Int64},
}


@dataclass(frozen=True)
class Tables:
    """Every plot table, checked.

    Attributes
    ----------
    rows : dict of str to DataFrame
        By the name in `SCHEMAS`: long format, one row a point.
    """

    rows: dict[str, pl.DataFrame]

    def __getitem__(self, name: str) -> pl.DataFrame:
        """One table, by its name in `SCHEMAS`."""
        return self.rows[name]

    @property
    def personas(self) -> list[str]:
        """Personas in declared order."""
        return names(self["behaviour/accuracy"], "persona")

    @property
    def source(self) -> str:
        """Persona whose z is written."""
        return self._role("source")

    @property
    def base(self) -> str:
        """Persona whose run is written into."""
        return self._role("base")

    @property
    def window(self) -> int:
        """Layers in a window; 0 where none was run."""
        sizes = self["windows/windows"]["last_layer"] - self["windows/windows"]["first_layer"] + 1
        return max(sizes.to_list(), default=0)

    def _role(self, role: str) -> str:
        """The persona that has a role in the patched run."""
        return self["transplant/transplant"].filter(pl.col("run") == "patched")[role][0]


def read(folder: Path) -> Tables:
    """Read all plot tables.

    Parameters
    ----------
    folder : Path
        With one folder for each stage that writes plot tables.

    Returns
    -------
    Tables

    Raises
    ------
    UserError
        If a file is missing, or a row lacks a column or has an unknown one.
    """
    return Tables({name: _table(folder / f"{name}.json", SCHEMAS[name]) for name in SCHEMAS})


def names(rows: pl.DataFrame, column: str) -> list[str]:
    """Values of a column, each once, in their order."""
    return rows[column].unique(maintain_order=True).to_list()


def splits(rows: pl.DataFrame) -> list[str]:
    """The splits in their order, without 'all'."""
    return [name for name in names(rows, "split") if name != "all"]


def counts(rows: pl.DataFrame) -> dict[str, int]:
    """Largest n of each split."""
    return dict(rows.group_by("split").agg(pl.col("n").max()).iter_rows())


def _table(file: Path, schema: tables.Schema) -> pl.DataFrame:
    """One plot table with its columns checked."""
    rows = tables.read_json(file)
    for number, row in enumerate(rows, start=1):
        for name in sorted(set(schema) ^ set(row)):
            state = "is missing" if name in schema else "is unknown"
            raise UserError(f"{file}: row {number}: column {name!r} {state}; run `dvc repro`")
    return pl.DataFrame(rows, schema=schema)
