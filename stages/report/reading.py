"""Claims on whether probes of one run read the truth in the other, before and after the lie."""

from dataclasses import replace

from stages.ground_truth.metrics import GroundTruthMetrics
from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    Check,
    Claim,
    Note,
    Table,
    above,
    among,
    between,
    number,
    unlikely,
)
from stages.lib.stats import Interval
from stages.report import words
from stages.report.results import Results
from stages.transfer.metrics import Method

HALF = 0.1  # an accuracy within this distance of 0.5 is chance
READS = "logistic"  # the kind of probe that decides what is read; stage `probes` fits it too
PROBES, TRANSFER = "probes", "transfer"


def before(results: Results, source: str, base: str) -> Claim:
    """Truth can be read from the liar's residual stream, with the honest run's probe."""
    best = results.probes.best["resid_post"][source]
    on_source, on_base = best[source], best[base]
    chance = _majority_rate(results)
    method = results.transfer.methods.get(READS, {}).get(source)
    probe = f"the probe fitted on `{source}`, {words.after(on_source.layer)}"
    ends = (0.5 - HALF, 0.5 + HALF)
    checks = [
        _reads(f"accuracy on `{base}` of {probe}", on_base.accuracy, chance),
        _reads(f"accuracy on `{source}` of {probe}", on_source.accuracy, chance),
        _permuted_labels(method),
        between(
            "accuracy of logistic regression on the statements' word counts",
            results.transfer.bag_of_tokens["all"],
            ends,
            TRANSFER,
        ),
    ]
    kinds = {
        name: own_method
        for name, by_persona in results.transfer.methods.items()
        if (own_method := by_persona.get(source))
    }
    return Claim(
        "Does the liar represent the truth at the layer where probes read it best?",
        f"A {READS} probe fitted on `{source}`, at the layer that cross-validation chose, reads "
        f"`{base}` too.",
        checks,
        ("probes.png", "probe_heads.png", "transfer.png"),
        notes=[*_by_construction(results, on_source.layer, base), *_polarity(method, source)],
        tables=[_best_layers(kinds, source, base)],
    )


def after(results: Results, source: str, base: str) -> Claim:
    """The honest run's probe still reads the liar after the layers of the lie."""
    lie_layers, last = _lie_layers(results)
    by_layer, chance = results.probes.by_layer, _majority_rate(results)
    index = None if last is None else str(last + 1)

    def accuracy(fit: str, scored: str) -> Interval | None:
        """Return a probe's accuracy on the residual stream after the last layer of the lie."""
        by_index = by_layer.get(fit, {}).get(scored, {})
        return None if index is None else by_index.get(index)

    auroc = results.probes.auroc.get(source, {}).get(base, {}).get(index or "")

    probe = f"the probe fitted on `{source}`, after layer {last}"
    checks = [
        _reads(f"accuracy on `{base}` of {probe}", accuracy(source, base), chance),
        _reads(f"accuracy on `{source}` of {probe}", accuracy(source, source), chance),
    ]
    notes = [
        "The check uses the threshold of the fit. AUROC, the probability that the probe scores a "
        f"true statement of `{base}` above a false one, needs no threshold: "
        f"{number(auroc)}{_separation(auroc, checks[0].verdict)}.",
        f"Layers of the lie: {lie_layers}.",
        f"A constant answer has an accuracy of {chance:.3f}, the share of the more frequent label. "
        "A probe with this accuracy does not show that the truth is absent.",
        f"Accuracy on `{base}` of a probe fitted on `{base}` itself, after the same layer: "
        f"{number(accuracy(base, base))}. The lie is the negated truth, so such a probe may read "
        "the truth or the lie.",
    ]
    return Claim(
        "Does the probe of the honest run still read the liar after the layers of the lie?",
        f"After the layers of the lie, a {READS} probe fitted on `{source}` still reads `{base}`, "
        "with the threshold that it was fitted with.",
        checks,
        notes=[Note(note, PROBES) for note in notes],
    )


def _separation(auroc: Interval | None, verdict: str) -> str:
    """Say what AUROC implies for the direction; `verdict` is that with the fitted threshold."""
    if auroc is None or auroc.low is None or auroc.high is None:
        return ""
    if auroc.low > 0.5:
        fails = ", and the threshold fails" if verdict == NOT_SUPPORTED else ""
        return f". So the direction still separates true from false{fails}"
    if auroc.high < 0.5:
        return ". So the direction separates true from false with the opposite sign"
    return ". So the direction is not shown to separate true from false"


def _reads(measures: str, row: Interval | None, chance: float) -> Check:
    """Check that a probe reads the truth; refuted if its interval ends not far above chance."""
    check = above(measures, row, chance, PROBES)
    refuting = chance + min(HALF, (1 - chance) / 2)  # below 1, however rare a label is
    if check.verdict == INCONCLUSIVE and row and row.high and row.high < refuting:
        check = replace(check, verdict=NOT_SUPPORTED)
    expected = (
        f"supported if the interval is above {chance:.3f}, the accuracy of a constant answer; "
        f"otherwise not supported if the interval ends below {refuting:.3f}"
    )
    return replace(check, expected=expected)


def _permuted_labels(method: Method | None) -> Check:
    """Check that probes fitted on permuted labels seldom do as well."""
    measures = f"accuracy of {READS} probes fitted on permuted labels"
    control = method.permuted if method else None
    if control is None:
        return unlikely(measures, "not measured", None, TRANSFER)
    as_good = round(control.p * (control.draws + 1)) - 1
    measured = f"mean {control.mean:.3f}, at most {control.max:.3f} in {control.draws} permutations"
    return unlikely(measures, measured, among(as_good, control.draws), TRANSFER)


def _majority_rate(results: Results) -> float:
    """Return the rate of the more frequent label among the statements that probes are scored on."""
    counts = results.probes.n["report"]
    n = counts.true + counts.false
    return max(counts.true, counts.false) / n if n else 0.5


def _lie_layers(results: Results) -> tuple[str, int | None]:
    """Return the layers of the lie and the last of them: trained layers, else the best window."""
    truth = results.ground_truth
    if isinstance(truth, GroundTruthMetrics) and truth.trained_layers:
        trained = (
            f"{words.layers(truth.trained_layers)}, trained to lie. Before these layers the probe "
            "reads the liar by construction, so the test is made after the last of them"
        )
        return trained, truth.trained_layers.last_layer
    best = results.windows.best
    return (f"{words.layers(best)}, the best window", best.last_layer) if best else ("none", None)


def _by_construction(results: Results, layer: int | None, base: str) -> list[Note]:
    """Write a note if the probe reads `base` before the first layer that was trained to lie."""
    truth = results.ground_truth
    trained_layers = truth.trained_layers if isinstance(truth, GroundTruthMetrics) else None
    if trained_layers is None or layer is None or layer > trained_layers.first_layer:
        return []
    return [
        Note(
            f"The probe is expected to read `{base}` {words.after(layer)}: the lie was trained "
            f"into {words.layers(trained_layers)}, and into no layer below. The next question is "
            "about the layers after the lie.",
            PROBES,
        )
    ]


def _polarity(method: Method | None, source: str) -> list[Note]:
    """Write the accuracy on negated statements of a probe fitted on plain ones, and the reverse."""
    if method is None or "plain" not in method.polarity:
        return []
    plain, negated = (method.polarity[name] for name in ("plain", "negated"))
    return [
        Note(
            "All other probes are fitted on plain and negated statements together. A "
            f"{READS} probe fitted on plain statements of `{source}` alone has an accuracy of "
            f"{words.told(plain['negated'])} on negated statements, and a probe fitted on negated "
            f"statements alone {words.told(negated['plain'])} on plain statements: no single truth "
            "direction is shown.",
            TRANSFER,
        )
    ]


def _best_layers(kinds: dict[str, Method], source: str, base: str) -> Table:
    """Tabulate the accuracy of each kind of probe at its best layer."""
    rows: list[tuple[str, ...]] = [
        (
            words.probe(name) + (" (decides)" if name == READS else ""),
            words.after(method.layer),
            number(method.accuracy),
            number(method.transfer.get(base)),
        )
        for name, method in kinds.items()
    ]
    title = (
        f"Accuracy of probes fitted on `{source}`, each kind at the layer that cross-validation "
        "chose"
    )
    head = ("probe", "residual stream", f"on `{source}`", f"on `{base}`")
    return Table(title, head, rows, TRANSFER)
