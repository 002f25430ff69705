"""Claims on where activations separate true from false statements, and on erasing the truth."""

from dataclasses import replace

from stages.erasure.metrics import Difference, ErasureMetrics, Numbers
from stages.ground_truth.metrics import GroundTruthMetrics
from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
    Check,
    Claim,
    Note,
    Table,
    above,
    among,
    below,
    between,
    number,
    so,
    unlikely,
)
from stages.lib.stats import LARGEST_P, LEVEL, Interval
from stages.lib.stats.windows import Window
from stages.logit_attribution.metrics import Parted
from stages.report import words
from stages.report.results import Results
from stages.transfer.metrics import Crossing, Method, Parting

READS = "logistic"  # the kind of probe that decides what is read; stage `probes` fits it too
# The kinds of probe with an interval on the layer of divergence, best first.
DIVERGES = ("mass_mean_corrected", "mass_mean")
HALF = 0.1  # an accuracy within this distance of 0.5 is chance
PROBES, TRANSFER, LENS, ERASURE = "probes", "transfer", "logit_attribution", "erasure"
Pairs = dict[str, dict[str, Parting]]
Runs = dict[str, Numbers | Difference]


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
            "accuracy of a bag of the statements' words",
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
        "The check is of the accuracy with the threshold of the fit. AUROC needs no threshold: the "
        f"chance that the probe scores a true statement of `{base}` above a false one is "
        f"{number(auroc)}{_separation(auroc)}.",
        f"Layers of the lie: {lie_layers}. Before them it is true by construction, so the test "
        "is made after the last of them.",
        f"{chance:.3f} is the rate of the more frequent label, and the accuracy of a probe that "
        "calls every statement the same: it does not show that the truth is not there.",
        f"A probe fitted on `{base}` itself reads it there: {number(accuracy(base, base))}. As the "
        "lie is the negated truth, such a probe may read either.",
    ]
    return Claim(
        "Does the probe of the honest run still read the liar after the layers of the lie?",
        f"After the layers of the lie, a {READS} probe fitted on `{source}` still reads `{base}`, "
        "with the threshold that it was fitted with.",
        checks,
        notes=[Note(note, PROBES) for note in notes],
    )


def _separation(auroc: Interval | None) -> str:
    """Say what AUROC implies for the direction, whatever the threshold."""
    if auroc is None or auroc.low is None or auroc.high is None:
        return ""
    if auroc.low > 0.5:
        return ". So the direction still separates them, and the threshold is what fails"
    if auroc.high < 0.5:
        return ". So the direction separates them with the opposite sign"
    return ". So the direction cannot be said to separate them"


def diverging(results: Results, source: str, base: str, neutral: str) -> Claim:
    """Truth directions of the honest and the lying run diverge inside the model."""
    by_kind = results.transfer.parting
    name, pairs = _deciding(by_kind)
    pair, control = _pair(pairs, source, base), _pair(pairs, source, neutral)
    crossing = pair.parting_layer if pair else None
    lens = results.logit_attribution.lens.parting.half
    kind = _method_name(name)
    checks = [
        _inside(
            f"layer after which the cosine of `{source}` and `{base}` ({kind}, selection split) is "
            "below 0.5",
            crossing,
            TRANSFER,
        ),
        _diverges_later(
            control.parting_layer if control else None,
            crossing,
            f"layer after which that of `{source}` and `{neutral}` is, who both tell the truth",
        ),
        _inside(
            "layer after which the logit lens reads half of the final difference between the runs",
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
    name, pairs = _deciding(results.transfer.parting)
    pair = _pair(pairs, source, base)
    turning = pair.turning_layer if pair and pair.layers else None
    checks = [
        _inside(
            f"layer after which the cosine ({_method_name(name)}, selection split) is below 0",
            turning,
            TRANSFER,
            True,
        )
    ]
    return Claim(
        "Do the truth directions become opposite, as in the paper?",
        "The cosine between the two runs' truth directions falls below 0.",
        checks,
        notes=[Note("Other kinds of probe are in the table of the question before.")],
    )


def erasing(results: Results, source: str, base: str) -> Claim:
    """With the truth direction erased from z, both runs answer at chance."""
    erasure, best = results.erasure, results.windows.best
    checks: list[Check] = []
    rows: list[tuple[str, ...]] = []
    for persona in (source, base):
        scores = erasure.personas[persona]
        name, runs = _nearest_window(scores.windows, best)
        leace = runs["leace"] if runs else None
        erased_scores = leace if isinstance(leace, Numbers) else None
        checks += [
            between(
                f"accuracy as `{persona}` with truth erased from z of {name}",
                erased_scores.accuracy if erased_scores else None,
                (0.5 - HALF, 0.5 + HALF),
                ERASURE,
            ),
            *_beyond_controls(persona, runs, erasure),
        ]
        fresh_probes = erasure.probes.get(persona, {}).get("fresh", {})
        rows.append(
            (
                f"`{persona}`",
                number(scores.none.accuracy),
                number(erased_scores.accuracy if erased_scores else None),
                *words.by_label(erased_scores.by_label if erased_scores else None),
                number(fresh_probes.get("whole")),
                number(fresh_probes.get("erased")),
            )
        )
    draws = Note(
        f"Each control has {words.plural(erasure.draws, 'draw')}. {_fewest_draws()} draws of each "
        "are the fewest that could support the claim (`erasure.draws`).",
        ERASURE,
    )
    table = Table(
        "Accuracy of the answers with z as it is and with the truth erased, and of probes fitted "
        "afresh on z of either, mean over layers. The eraser is fitted on other statements and "
        "may leave some of the truth",
        (
            "run",
            "z as it is",
            "erased",
            "true statements",
            "false ones",
            "probe of z",
            "of erased z",
        ),
        rows,
        ERASURE,
    )
    return Claim(
        "Does erasing the truth direction from z remove both behaviours?",
        "With the truth direction erased from z of a few layers (LEACE), both runs answer at "
        "chance, and erasing anything else does less.",
        checks,
        ("erasure.png",),
        notes=[draws],
        tables=[table],
    )


def diverges_after(results: Results, source: str, base: str) -> int | None:
    """Return the layer after which the two runs diverge, by the kind of probe that decides."""
    pair = _pair(_deciding(results.transfer.parting)[1], source, base)
    return pair.parting_layer.value if pair else None


def _beyond_controls(persona: str, runs: Runs | None, erasure: ErasureMetrics) -> list[Check]:
    """Check that erasing the truth does more than its controls do; too few draws decide nothing."""
    checks = []
    for control, target in (("permuted", "permuted labels"), ("random", "a random direction")):
        beyond_control, total = (
            runs.get(f"leace - {name}") if runs else None for name in (control, "none")
        )
        difference = beyond_control.p_correct if isinstance(beyond_control, Difference) else None
        effect = total.p_correct.value if isinstance(total, Difference) else None
        check = (above if (effect or 0) > 0 else below)(
            f"`{persona}`: P(correct) with truth erased minus with {target} erased",
            difference,
            0.0,
            ERASURE,
        )
        if check.verdict == SUPPORTED and erasure.draws < _fewest_draws():
            measured = (
                f"{check.measured}; {words.plural(erasure.draws, 'draw')} of the control, where "
                f"{_fewest_draws()} are needed"
            )
            check = replace(check, measured=measured, verdict=INCONCLUSIVE)
        checks.append(check)
    return checks


def _fewest_draws() -> int:
    """Return the fewest draws of a control whose p-value can be as low as LARGEST_P."""
    return round(1 / LARGEST_P) - 1


def _reads(measures: str, row: Interval | None, chance: float) -> Check:
    """Check that a probe reads the truth; refuted if its interval ends below chance + HALF."""
    check = above(measures, row, chance, PROBES)
    if check.verdict == INCONCLUSIVE and row and row.high and row.high < chance + HALF:
        check = replace(check, verdict=NOT_SUPPORTED)
    expected = f"interval wholly above {chance:.3f}, the share of the more frequent label"
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
    if isinstance(truth, GroundTruthMetrics) and truth.planted:
        return f"{words.layers(truth.planted)}, trained to lie", truth.planted.last_layer
    best = results.windows.best
    return (f"{words.layers(best)}, the best window", best.last_layer) if best else ("none", None)


def _diverges_later(control: Crossing | None, crossing: Crossing | None, measures: str) -> Check:
    """Check that two runs that both tell the truth diverge later than the honest and lying runs."""
    if crossing is None or crossing.value is None or control is None:
        return so(measures, "later or at none", "not measured", None, TRANSFER)
    passed = control.value is None or control.value > crossing.value
    return so(measures, f"after {crossing.value}, or none", _layer(control), passed, TRANSFER)


def _inside(
    measures: str, crossing: Crossing | Parted | None, file: str, required: bool = False
) -> Check:
    """Check that a layer is found, with an interval that ends inside the model.

    `required`: the check is not supported if nearly every draw of subjects, too, has no such layer.
    """
    expected = "inside the model"
    if crossing is None:
        return Check(measures, expected, "not measured", UNTESTED, file)
    if crossing.value is None:
        never = crossing.never if isinstance(crossing, Crossing) else None
        in_draws = "" if never is None else f" (in {never:.3f} of draws of subjects)"
        refuted = required and never is not None and never >= (1 + LEVEL) / 2
        verdict = NOT_SUPPORTED if refuted else INCONCLUSIVE if required else UNTESTED
        return Check(measures, expected, f"none{in_draws}", verdict, file)
    verdict = SUPPORTED if crossing.high is not None else INCONCLUSIVE
    return Check(measures, expected, _layer(crossing), verdict, file)


def _nearest_window(windows: dict[str, Runs], best: Window | None) -> tuple[str, Runs | None]:
    """Return the erased window nearest in size to the best window; ties: most layers in common."""
    measured_windows = {
        name: runs for name, runs in windows.items() if runs["leace - none"].p_correct.n
    }
    if not measured_windows or best is None:
        return "no window", None
    best_layers = set(range(best.first_layer, best.last_layer + 1))

    def distance(name: str) -> tuple[int, int, int]:
        first, last = map(int, name.split("-"))
        layers = set(range(first, last + 1))
        return abs(len(layers) - len(best_layers)), -len(layers & best_layers), first

    name = min(measured_windows, key=distance)
    return f"layers {name}", measured_windows[name]


def _by_construction(results: Results, layer: int | None, base: str) -> list[Note]:
    """Write a note if the probe reads `base` before the first layer that was trained to lie."""
    truth = results.ground_truth
    planted = truth.planted if isinstance(truth, GroundTruthMetrics) else None
    if planted is None or layer is None or layer > planted.first_layer:
        return []
    return [
        Note(
            f"That `{base}` is read {words.after(layer)} is expected of this model: the lie was "
            f"trained into {words.layers(planted)}, and no layer below them was. The next question "
            "is about the layers after them.",
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
            f"Probes are fitted on plain and on negated statements. The {READS} probe of "
            f"`{source}` fitted on plain ones alone has accuracy {number(plain['negated'])} on "
            f"negated ones, and fitted on negated ones alone {number(negated['plain'])} on plain "
            "ones: no single truth direction is shown.",
            TRANSFER,
        )
    ]


def _best_layers(kinds: dict[str, Method], source: str, base: str) -> Table:
    """Tabulate the accuracy of each kind of probe at its best layer."""
    rows: list[tuple[str, ...]] = [
        (
            _method_name(name) + (" (decides)" if name == READS else ""),
            words.after(method.layer),
            number(method.accuracy),
            number(method.transfer.get(base)),
        )
        for name, method in kinds.items()
    ]
    title = f"Accuracy of probes fitted on `{source}`, each kind at the layer that its folds chose"
    head = ("probe", "read", f"on `{source}`", f"on `{base}`")
    return Table(title, head, rows, TRANSFER)


def _deciding(by_kind: dict[str, Pairs]) -> tuple[str | None, Pairs]:
    """Return the kind of probe whose directions decide, and its pairs of personas."""
    name = next((kind for kind in DIVERGES if kind in by_kind), None)
    return name, by_kind[name] if name else {}


def _pair(pairs: Pairs, first: str, second: str) -> Parting | None:
    """Return the entry of two personas, in either order; None if there is none."""
    return pairs.get(first, {}).get(second) or pairs.get(second, {}).get(first)


def _divergence(by_kind: dict[str, Pairs], source: str, base: str) -> Table:
    """Tabulate the layers after which the cosine falls below 0.5 and 0, by kind of probe."""
    rows: list[tuple[str, ...]] = []
    for name, pairs in by_kind.items():
        pair = _pair(pairs, source, base)
        parting = pair if pair and pair.layers else None
        rows.append(
            (
                _method_name(name),
                str(parting.layers) if parting else "0",
                _after(parting.parting_layer) if parting else "not measured",
                _after(parting.turning_layer) if parting else "not measured",
            )
        )
    title = (
        f"Where the cosine of the truth directions of `{source}` and `{base}` falls below a "
        "value, of the layers after which probes read the truth in both runs (elsewhere a "
        "direction, and its sign, mean nothing)"
    )
    head = ("probe", "such layers", "below 0.5", "below 0")
    return Table(title, head, rows, TRANSFER)


def _after(crossing: Crossing) -> str:
    """Write the layer after which a cosine falls, if any."""
    return "after no layer" if crossing.value is None else f"after layer {_layer(crossing)}"


def _method_name(name: str | None) -> str:
    """Write the name of a kind of probe."""
    return "no probe" if name is None else name.replace("_", " ")


def _output_layer(index: Parted) -> Parted:
    """Turn an index of the residual stream into the layer whose output it is."""
    ends = {
        name: None if end is None else end - 1
        for name, end in (("value", index.value), ("low", index.low), ("high", index.high))
    }
    return replace(index, **ends)


def _layer(row: Crossing | Parted) -> str:
    """Write a layer with its interval."""
    if row.value is None:
        return "none"
    if row.low is None and row.high is None:
        return f"{row.value}"
    ends = ("…" if end is None else end for end in (row.low, row.high))
    return f"{row.value} [{', '.join(map(str, ends))}]"
