"""What metrics/controls.json holds."""

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from stages.lib.stats import Interval
from stages.lib.stats.run_points import ByLabel, Count, Difference, Point

CAPTIONS = {
    "controls": (
        "Accuracy with the head set patched: z of the statement, mean z and z of "
        "other statements; and with other heads patched."
    ),
}


@dataclass(frozen=True)
class ControlsMetrics:
    """The real patch beside other heads, mean z, and z of other statements.

    Attributes
    ----------
    known : Count
        Known statements.
    runs : dict of str to Point
        Every run of `schema.RUNS` that was made, over its statements. Runs of other heads are
        missing where the set is all heads of its layers, or of the window.
    by_label : dict of str to ByLabel
        Accuracy of every run on true and on false statements.
    n_heads : dict of str to int
        Number of heads that a run patches, for runs that patch any.
    patched_minus : dict of str to Difference
        The real patch minus each control, over the statements of the control's run; empty without
        a head set.
    reverse_minus_rest : dict of str to Interval
        ``accuracy`` and ``p_correct`` of the reverse patch of the set minus that of the window's
        other heads; empty without a head set, or without other heads.
    follows_donor : dict of str to Interval
        Fraction of answers that equal the donor's label, by run with donors.
    """

    known: Count
    runs: dict[str, Point]
    by_label: dict[str, ByLabel]
    n_heads: dict[str, int]
    patched_minus: Annotated[dict[str, Difference], Field(alias="patched - control")]
    reverse_minus_rest: Annotated[dict[str, Interval], Field(alias="reverse - rest")]
    follows_donor: dict[str, Interval]
