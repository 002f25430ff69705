"""The table of runs: its columns, and which runs there are."""

import polars as pl

from stages.lib.patching import patched_runs, roles

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

# In the order of plots; the others in the direction of `PATCHED` or of `REVERSE`.
RUNS = {
    SOURCE: roles.RUNS[SOURCE],
    PATCHED: roles.RUNS[PATCHED],
    BASE: roles.RUNS[BASE],
    **dict.fromkeys((REST_OF_LAYERS, REST_OF_WINDOW), roles.RUNS[PATCHED]),
    **dict.fromkeys((REVERSE, REVERSE_REST), roles.RUNS[REVERSE]),
    **dict.fromkeys((MEAN_SELECTION, MEAN_REPORT), roles.RUNS[PATCHED]),
    **dict.fromkeys((SAME_LABEL, OTHER_LABEL), roles.RUNS[PATCHED]),
    BASE_OTHER_LABEL: roles.RUNS[BASE],
}
