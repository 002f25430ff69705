"""The table of runs: its columns, and which runs there are."""

import polars as pl

from stages.lib.patching import patched_runs

SCHEMA = patched_runs.SCHEMA | {"run": pl.String, "donor": pl.String}
SOURCE, PATCHED, BASE = "source", "patched", "base"
# z of the source, of heads outside the set: in the layers of the set, in the window
REST_OF_LAYERS, REST_OF_WINDOW = "rest_of_layers", "rest_of_window"
# z of the base into the source run: heads of the set, other heads of the window
REVERSE, REVERSE_REST = "reverse", "reverse_rest"
# z of the source averaged over statements of either split
MEAN_SELECTION, MEAN_REPORT = "mean_ablation_selection", "mean_ablation_report"
# z of the donor, another statement: source run, same or opposite label; base run, opposite label
SAME_LABEL, OTHER_LABEL, BASE_OTHER_LABEL = DONOR_RUNS = (
    "same_label",
    "other_label",
    "base_other_label",
)

# Role of the persona that gives z, and of the persona whose run is patched, in the order of plots.
RUNS = {
    SOURCE: ("source", "source"),
    PATCHED: ("source", "base"),
    BASE: ("base", "base"),
    REST_OF_LAYERS: ("source", "base"),
    REST_OF_WINDOW: ("source", "base"),
    REVERSE: ("base", "source"),
    REVERSE_REST: ("base", "source"),
    MEAN_SELECTION: ("source", "base"),
    MEAN_REPORT: ("source", "base"),
    SAME_LABEL: ("source", "base"),
    OTHER_LABEL: ("source", "base"),
    BASE_OTHER_LABEL: ("base", "base"),
}
