"""Claims on where the truth directions of the honest and the lying run diverge, and how far."""

from dataclasses import replace

from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
    Check,
    Claim,
    Note,
    Table,
    so,
)
from stages.lib.stats import LEVEL
from stages.logit_attribution.metrics import LensLayer
from stages.report import words
from stages.report.results import Results
from stages.transfer.metrics import Crossing, Divergence

# The kinds of probe with an interval on the layer of divergence, best first.
DIVERGES = ("mass_mean_corrected", "mass_mean")
TRANSFER, LENS = "transfer", "logit_attribution"
Pairs = dict[str, dict[str, Divergence]]


def diverging(results: Results, source: str, base: str, neutral: str) -> Claim:
    """Truth directions of the honest and the lying run diverge inside the model."""
    by_kind = results.transfer.divergence
    name, pairs = _deciding(by_kind)
    pair, control = _pair(pairs, source, base), _pair(pairs, source, neutral)
    crossing = pair.divergence_layer if pair else None
    lens = results.logit_attribution.lens.divergence.half
    read_by = f"({words.probe(name)}, selection split)"
    checks = [
        _inside(
            f"layer after which the cosine of `{source}` and `{base}` {read_by} is below 0.5",
            crossing,
            TRANSFER,
        ),
        _diverges_later(
            control.divergence_layer if control and control.layers > 1 else None,
            crossing,
            f"layer after which the cosine of `{source}` and `{neutral}` {read_by}, which both "
            "tell the truth, is below 0.5",
        ),
        _inside(
            "layer after which the logit lens reads half of the final gap in P(correct)",
            _output_layer(lens),
            LENS,
        ),
    ]
    return Claim(
        "Do the truth directions of the honest and the lying run diverge inside the model?",
        "The cosine between the two runs' truth directions is above 0.5 in some layers, and below "
        "it from one layer on.",
        checks,
        ("logit_attribution.png",),
        tables=[_divergence(by_kind, source, base)],
    )


def opposite(results: Results, source: str, base: str) -> Claim:
    """Truth directions of the two runs become opposite, as in the paper."""
    name, pairs = _deciding(results.transfer.divergence)
    pair = _pair(pairs, source, base)
    turning = pair.turning_layer if pair and pair.layers else None
    checks = [
        _inside(
            f"layer after which the cosine of `{source}` and `{base}` ({words.probe(name)}, "
            "selection split) is below 0",
            turning,
            TRANSFER,
            True,
        )
    ]
    return Claim(
        "Do the truth directions become opposite, as in the paper?",
        "The cosine between the two runs' truth directions falls below 0.",
        checks,
        notes=[Note("Other kinds of probe are in the table of the previous question.")],
    )


def diverges_after(results: Results, source: str, base: str) -> int | None:
    """Return the layer after which the two runs diverge, by the kind of probe that decides."""
    pair = _pair(_deciding(results.transfer.divergence)[1], source, base)
    return pair.divergence_layer.value if pair else None


def _deciding(by_kind: dict[str, Pairs]) -> tuple[str | None, Pairs]:
    """Return the kind of probe whose directions decide, and its pairs of personas."""
    name = next((kind for kind in DIVERGES if kind in by_kind), None)
    return name, by_kind[name] if name else {}


def _pair(pairs: Pairs, first: str, second: str) -> Divergence | None:
    """Return the entry of two personas, in either order; None if there is none."""
    return pairs.get(first, {}).get(second) or pairs.get(second, {}).get(first)


def _diverges_later(control: Crossing | None, crossing: Crossing | None, measures: str) -> Check:
    """Check that two runs that both tell the truth diverge later than the honest and lying runs."""
    if crossing is None or crossing.value is None or control is None:
        return so(measures, "later or at none", "not measured", None, TRANSFER)
    falls_later = control.value is None or control.value > crossing.value
    passed = falls_later and not control.always_below  # else it is low at the lie, too
    return so(measures, f"after {crossing.value}, or none", _layer(control), passed, TRANSFER)


def _inside(
    measures: str, crossing: Crossing | LensLayer | None, file: str, required: bool = False
) -> Check:
    """Check that a layer is found, with an interval that ends inside the model.

    `required`: the check is not supported if nearly every draw of subjects, too, has no such layer.
    """
    expected = "inside the model"
    if crossing is None:
        return Check(measures, expected, "not measured", UNTESTED, file)
    if crossing.value is None:
        never = crossing.never if isinstance(crossing, Crossing) else None
        in_draws = "" if never is None else f", as in {never:.1%} of the bootstrap draws"
        could_fall = not (isinstance(crossing, Crossing) and crossing.always_below)
        refuted = required and could_fall and never is not None and never >= (1 + LEVEL) / 2
        verdict = NOT_SUPPORTED if refuted else INCONCLUSIVE if required else UNTESTED
        return Check(measures, expected, f"{_layer(crossing)}{in_draws}", verdict, file)
    verdict = SUPPORTED if crossing.high is not None else INCONCLUSIVE
    return Check(measures, expected, _layer(crossing), verdict, file)


def _divergence(by_kind: dict[str, Pairs], source: str, base: str) -> Table:
    """Tabulate the layers after which the cosine falls below 0.5 and 0, by kind of probe."""
    rows: list[tuple[str, ...]] = []
    for name, pairs in by_kind.items():
        pair = _pair(pairs, source, base)
        divergence = pair if pair and pair.layers else None
        rows.append(
            (
                words.probe(name),
                str(divergence.layers) if divergence else "0",
                _after(divergence.divergence_layer) if divergence else "not measured",
                _after(divergence.turning_layer) if divergence else "not measured",
            )
        )
    title = (
        f"Where the cosine of the truth directions of `{source}` and `{base}` falls below 0.5 and "
        "below 0. Only layers after which probes read the truth in both runs are compared: "
        "elsewhere a direction and its sign mean nothing"
    )
    head = ("probe", "layers compared", "below 0.5", "below 0")
    return Table(title, head, rows, TRANSFER)


def _after(crossing: Crossing) -> str:
    """Write the layer after which a cosine falls, if any."""
    if crossing.value is None:
        return f"after no layer{_where_below(crossing)}"
    return f"after layer {_layer(crossing)}"


def _output_layer(index: LensLayer) -> LensLayer:
    """Turn an index of the residual stream into the layer whose output it is."""
    ends = {
        name: None if end is None else end - 1
        for name, end in (("value", index.value), ("low", index.low), ("high", index.high))
    }
    return replace(index, **ends)


def _layer(row: Crossing | LensLayer) -> str:
    """Write a layer with its interval."""
    where_below = _where_below(row) if isinstance(row, Crossing) else ""
    if row.value is None:
        return f"none{where_below}"
    if row.low is None and row.high is None:
        return f"{row.value}{where_below}"
    ends = ("…" if end is None else end for end in (row.low, row.high))
    return f"{row.value} [{', '.join(map(str, ends))}]{where_below}"


def _where_below(crossing: Crossing) -> str:
    """Say that a cosine is below the level in every layer, so that it cannot fall."""
    return " (below it in every compared layer)" if crossing.always_below else ""
