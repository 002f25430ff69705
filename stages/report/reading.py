"""Claims on where activations separate true from false statements, and on erasing that."""

from dataclasses import replace

from stages.erasure.metrics import Difference, ErasureMetrics, Numbers, ProbeRate
from stages.ground_truth.metrics import GroundTruthMetrics
from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
    Check,
    Claim,
    Note,
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

READS = "logistic"  # the probe that decides what is read; stage `probes` fits the same one
DIVERGES = ("mass_mean_corrected", "mass_mean")  # those with an interval on the layer, best first
HALF = 0.1  # accuracy so far from 0.5 is chance
PROBES, TRANSFER, LENS, ERASURE = "probes", "transfer", "logit_attribution", "erasure"
Pairs = dict[str, dict[str, Parting]]
Runs = dict[str, Numbers | Difference]


def before(results: Results, source: str, base: str) -> Claim:
    """Truth can be read from the liar's residual stream, with the honest run's probe."""
    best = results.probes.best["resid_post"][source]
    own, other = best[source], best[base]
    chance = _commoner(results)
    method = results.transfer.methods.get(READS, {}).get(source)
    probe = f"the probe fitted on `{source}`, {words.after(own.layer)}"
    ends = (0.5 - HALF, 0.5 + HALF)
    checks = [
        _reads(f"accuracy on `{base}` of {probe}", other.accuracy, chance),
        _reads(f"accuracy on `{source}` of {probe}", own.accuracy, chance),
        _permuted(method),
        between(
            "accuracy of a bag of the statements' words",
            results.transfer.bag_of_tokens["all"],
            ends,
            TRANSFER,
        ),
    ]
    notes = [
        *_by_construction(results, own.layer, base),
        *_polarity(method, source),
        *(
            _method(name, of[source], base)
            for name, of in results.transfer.methods.items()
            if of.get(source)
        ),
    ]
    return Claim(
        "Does the liar represent the truth at the layer where probes read it best?",
        f"A {READS} probe fitted on `{source}`, at the layer that cross-validation chose, reads "
        f"`{base}` too.",
        checks,
        ("probes.png", "probe_heads.png", "transfer.png"),
        notes=notes,
    )


def after(results: Results, source: str, base: str) -> Claim:
    """The honest run's probe still reads the liar after the layers of the lie."""
    where, last = _writing(results)
    by_layer, chance = results.probes.by_layer, _commoner(results)
    index = None if last is None else str(last + 1)

    def read(fit: str, scored: str) -> Interval | None:
        """Of the residual stream after the last of these layers."""
        of_fit = by_layer.get(fit, {}).get(scored, {})
        return None if index is None else of_fit.get(index)

    apart = results.probes.auroc.get(source, {}).get(base, {}).get(index or "")

    probe = f"the probe fitted on `{source}`, after layer {last}"
    checks = [
        _reads(f"accuracy on `{base}` of {probe}", read(source, base), chance),
        _reads(f"accuracy on `{source}` of {probe}", read(source, source), chance),
    ]
    notes = [
        "The check is of the accuracy with the threshold of the fit. AUROC needs no threshold: the "
        f"chance that the probe scores a true statement of `{base}` above a false one is "
        f"{number(apart)}{_told(apart)}.",
        f"Layers of the lie: {where}. Before them it is true by construction, so the test "
        "is made after the last of them.",
        f"{chance:.3f} is the rate of the more frequent label, and the accuracy of a probe that "
        "calls every statement the same: it does not show that the truth is not there.",
        f"A probe fitted on `{base}` itself reads it there: {number(read(base, base))}. As the lie "
        "is the negated truth, such a probe may read either.",
    ]
    return Claim(
        "Does the probe of the honest run still read the liar after the layers of the lie?",
        f"After the layers of the lie, a {READS} probe fitted on `{source}` still reads `{base}`, "
        "with the threshold that it was fitted with.",
        checks,
        notes=[Note(note, PROBES) for note in notes],
    )


def _told(apart: Interval | None) -> str:
    """Say what follows for the direction, whatever the threshold."""
    if apart is None or apart.low is None or apart.high is None:
        return ""
    if apart.low > 0.5:
        return ". So the direction still separates them, and the threshold is what fails"
    if apart.high < 0.5:
        return ". So the direction separates them with the opposite sign"
    return ". So the direction cannot be said to separate them"


def diverging(results: Results, source: str, base: str, neutral: str) -> Claim:
    """Truth directions of the honest and the lying run diverge somewhere inside."""
    every = results.transfer.parting
    name, pairs = _deciding(every)
    pair, control = _pair(pairs, source, base), _pair(pairs, source, neutral)
    where = pair.parting_layer if pair else None
    lens = results.logit_attribution.lens.parting.half
    kind = _words(name)
    checks = [
        _inside(
            f"layer after which the cosine of `{source}` and `{base}` ({kind}) is below 0.5",
            where,
            TRANSFER,
        ),
        _no_sooner(
            control.parting_layer if control else None,
            where,
            f"layer after which that of `{source}` and `{neutral}` is, who both tell the truth",
        ),
        _inside(
            "layer after which the logit lens reads half of the final difference between the runs",
            _left_by(lens),
            LENS,
        ),
    ]
    notes = [Note(_diverges(method, of, source, base), TRANSFER) for method, of in every.items()]
    return Claim(
        "Do the truth directions of the honest and the lying run diverge inside the model?",
        "The cosine between the two runs' truth directions is above 0.5 in some layers, and below "
        "it from one layer on.",
        checks,
        ("logit_attribution.png",),
        notes=notes,
    )


def opposite(results: Results, source: str, base: str) -> Claim:
    """Truth directions of the two runs become opposite, as in the paper."""
    name, pairs = _deciding(results.transfer.parting)
    pair = _pair(pairs, source, base)
    turning = pair.turning_layer if pair and pair.layers else None
    checks = [
        _inside(
            f"layer after which the cosine ({_words(name)}) is below 0", turning, TRANSFER, True
        )
    ]
    notes = [
        Note(
            f"{_words(method)}: below 0 {_at(own.turning_layer)}, of the "
            f"{words.plural(own.layers, 'layer')} after which probes read the truth in both runs. "
            "Elsewhere a direction, and its sign, mean nothing.",
            TRANSFER,
        )
        for method, of in results.transfer.parting.items()
        if (own := _pair(of, source, base)) and own.layers
    ]
    return Claim(
        "Do the truth directions become opposite, as in the paper?",
        "The cosine between the two runs' truth directions falls below 0.",
        checks,
        notes=notes,
    )


def erasing(results: Results, source: str, base: str) -> Claim:
    """Without the truth direction in z, neither the truth nor the lie is told."""
    erasure, best = results.erasure, results.windows.best
    checks, notes = [], []
    for persona in (source, base):
        of = erasure.personas[persona]
        name, there = _nearest(of.windows, best)
        numbers = there["leace"] if there else None
        erased = numbers if isinstance(numbers, Numbers) else None
        checks += [
            between(
                f"accuracy as `{persona}` with truth erased from z of layers {name}",
                erased.accuracy if erased else None,
                (0.5 - HALF, 0.5 + HALF),
                ERASURE,
            ),
            *_beyond(persona, there, erasure),
        ]
        notes += [
            f"`{persona}`: accuracy {number(of.none.accuracy)} before erasure; after it "
            f"{number(erased.accuracy if erased else None)} "
            f"({words.labels(erased.by_label if erased else None)}).",
            *_left(persona, erasure.probes.get(persona, {})),
        ]
    notes.append(
        f"Each control has {words.plural(erasure.draws, 'draw')}. {_enough()} draws of each are "
        "the fewest that could support the claim (`erasure.draws`)."
    )
    return Claim(
        "Does erasing the truth direction from z remove both behaviours?",
        "With the truth direction erased from z of a few layers (LEACE), both runs answer at "
        "chance, and erasing anything else does less.",
        checks,
        ("erasure.png",),
        notes=[Note(note, ERASURE) for note in notes],
    )


def diverges_after(results: Results, source: str, base: str) -> int | None:
    """Return the layer after which the two runs diverge, by the probe that decides."""
    pair = _pair(_deciding(results.transfer.parting)[1], source, base)
    return pair.parting_layer.value if pair else None


def _beyond(persona: str, there: Runs | None, erasure: ErasureMetrics) -> list[Check]:
    """Effect of erasing the truth beyond its controls; too few draws decide nothing."""
    made = []
    for control, what in (("permuted", "permuted labels"), ("random", "a random direction")):
        gap, whole = (there.get(f"leace - {name}") if there else None for name in (control, "none"))
        change = gap.p_correct if isinstance(gap, Difference) else None
        expected = whole.p_correct.value if isinstance(whole, Difference) else None
        check = (above if (expected or 0) > 0 else below)(
            f"`{persona}`: P(correct) with truth erased minus with {what} erased",
            change,
            0.0,
            ERASURE,
        )
        if check.verdict == SUPPORTED and erasure.draws < _enough():
            says = (
                f"{check.measured}; {words.plural(erasure.draws, 'draw')} of the control, where "
                f"{_enough()} are needed"
            )
            check = replace(check, measured=says, verdict=INCONCLUSIVE)
        made.append(check)
    return made


def _enough() -> int:
    """Draws of a control from which on none may be as good by chance alone."""
    return round(1 / LARGEST_P) - 1


def _reads(measures: str, row: Interval | None, chance: float) -> Check:
    """Whether a probe reads the truth: not, if its interval ends so near to chance."""
    check = above(measures, row, chance, PROBES)
    if check.verdict == INCONCLUSIVE and row and row.high and row.high < chance + HALF:
        check = replace(check, verdict=NOT_SUPPORTED)
    expected = f"interval wholly above {chance:.3f}, the share of the more frequent label"
    return replace(check, expected=expected)


def _permuted(method: Method | None) -> Check:
    """Whether probes of permuted labels do as well."""
    measures = f"accuracy of {READS} probes fitted on permuted labels"
    control = method.permuted if method else None
    if control is None:
        return unlikely(measures, "not measured", None, TRANSFER)
    as_good = round(control.p * (control.draws + 1)) - 1
    says = f"mean {control.mean:.3f}, at most {control.max:.3f} in {control.draws} permutations"
    return unlikely(measures, says, among(as_good, control.draws), TRANSFER)


def _commoner(results: Results) -> float:
    """Rate of the more frequent label among the statements that probes are scored on."""
    counts = results.probes.n["report"]
    n = counts.true + counts.false
    return max(counts.true, counts.false) / n if n else 0.5


def _writing(results: Results) -> tuple[str, int | None]:
    """The layers of the lie, and the last of them: trained ones, else the best window."""
    truth = results.ground_truth
    if isinstance(truth, GroundTruthMetrics) and truth.planted:
        return f"{words.layers(truth.planted)}, trained to lie", truth.planted.last_layer
    best = results.windows.best
    return (f"{words.layers(best)}, the best window", best.last_layer) if best else ("none", None)


def _no_sooner(control: Crossing | None, where: Crossing | None, measures: str) -> Check:
    """Whether two runs that both tell the truth stay together where liar and honest diverge."""
    if where is None or where.value is None or control is None:
        return so(measures, "later or at none", "not measured", None, TRANSFER)
    passed = control.value is None or control.value > where.value
    return so(measures, f"after {where.value}, or none", _layer(control), passed, TRANSFER)


def _inside(measures: str, where: Crossing | Parted | None, file: str, must: bool = False) -> Check:
    """Whether a layer is there, with an interval that ends inside the model.

    `must`: where it is not there, in nearly every draw of subjects, the claim is not supported.
    """
    expected = "inside the model"
    if where is None:
        return Check(measures, expected, "not measured", UNTESTED, file)
    if where.value is None:
        never = where.never if isinstance(where, Crossing) else None
        drawn = "" if never is None else f" (in {never:.3f} of draws of subjects)"
        absent = must and never is not None and never >= (1 + LEVEL) / 2
        verdict = NOT_SUPPORTED if absent else INCONCLUSIVE if must else UNTESTED
        return Check(measures, expected, f"none{drawn}", verdict, file)
    verdict = SUPPORTED if where.high is not None else INCONCLUSIVE
    return Check(measures, expected, _layer(where), verdict, file)


def _nearest(windows: dict[str, Runs], best: Window | None) -> tuple[str, Runs | None]:
    """The erased window of the best one's size, or the nearest, that has most layers of it."""
    measured = {name: runs for name, runs in windows.items() if runs["leace - none"].p_correct.n}
    if not measured or best is None:
        return "of any window", None
    chosen = set(range(best.first_layer, best.last_layer + 1))

    def distance(name: str) -> tuple[int, int, int]:
        first, last = map(int, name.split("-"))
        layers = set(range(first, last + 1))
        return abs(len(layers) - len(chosen)), -len(layers & chosen), first

    name = min(measured, key=distance)
    return name, measured[name]


def _left(persona: str, probes: dict[str, dict[str, ProbeRate]]) -> list[str]:
    """Write what a fresh probe reads of erased z, beside whole z."""
    fresh = probes.get("fresh")
    if not fresh:
        return []
    return [
        f"`{persona}`: a probe fitted afresh reads {number(fresh['erased'])} of erased z, mean "
        f"over layers, and {number(fresh['whole'])} of whole z: some of the truth is left (the "
        "eraser is fitted on other statements)."
    ]


def _by_construction(results: Results, layer: int | None, base: str) -> list[Note]:
    """Say so where the probe reads what enters a layer below all that was trained to lie."""
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
    """What a probe of plain statements reads of negated ones, and the reverse."""
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


def _method(name: str, method: Method | None, base: str) -> Note:
    """Write what one kind of probe reads at its best layer."""
    assert method is not None
    decides = " (decides)" if name == READS else ""
    return Note(
        f"{_words(name)}{decides}, {words.after(method.layer)}: {number(method.accuracy)}; on "
        f"`{base}` {number(method.transfer.get(base))}.",
        TRANSFER,
    )


def _deciding(every: dict[str, Pairs]) -> tuple[str | None, Pairs]:
    """Name the kind of probe whose directions decide."""
    name = next((method for method in DIVERGES if method in every), None)
    return name, every[name] if name else {}


def _pair(pairs: Pairs, first: str, second: str) -> Parting | None:
    """Two personas, whichever is named first; None where they are not there."""
    return pairs.get(first, {}).get(second) or pairs.get(second, {}).get(first)


def _diverges(name: str, pairs: Pairs, source: str, base: str) -> str:
    """Write where directions of one kind of probe diverge."""
    pair = _pair(pairs, source, base)
    if pair is None or not pair.layers:
        return f"{_words(name)}: no layer that reads the truth in both runs."
    return f"{_words(name)}: the cosine is below 0.5 {_at(pair.parting_layer)}."


def _at(where: Crossing) -> str:
    """Write after which layer, if any."""
    return "after no layer" if where.value is None else f"after layer {_layer(where)}"


def _words(name: str | None) -> str:
    """Write the name of a kind of probe."""
    return "no probe" if name is None else name.replace("_", " ")


def _left_by(entered: Parted) -> Parted:
    """Turn an index of the residual stream into the layer after which it is."""
    ends = {
        name: None if end is None else end - 1
        for name, end in (("value", entered.value), ("low", entered.low), ("high", entered.high))
    }
    return replace(entered, **ends)


def _layer(row: Crossing | Parted) -> str:
    """Write a layer with its interval."""
    if row.value is None:
        return "none"
    if row.low is None and row.high is None:
        return f"{row.value}"
    ends = ("…" if end is None else end for end in (row.low, row.high))
    return f"{row.value} [{', '.join(map(str, ends))}]"
