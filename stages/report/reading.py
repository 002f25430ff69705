"""Claims of where activations tell truth from falsehood, and of what happens without that."""

from stages.erasure.metrics import Difference, Numbers, ProbeRate
from stages.lib.claim import LEVEL, Check, Claim, above, below, holds, least, number
from stages.lib.stats import Interval
from stages.lib.stats.windows import Window
from stages.logit_attribution.metrics import Parted
from stages.report.results import Results
from stages.transfer.metrics import Crossing, Method, Parting

PARTING = ("mass_mean_corrected", "mass_mean")  # the methods with an interval, the better first
Pairs = dict[str, dict[str, Parting]]
Runs = dict[str, Numbers | Difference]


def believing(results: Results, source: str, base: str) -> Claim:
    """Truth can be read from the residual stream of the liar, with the honest run's probe."""
    best = results.probes.best["resid_post"][source]
    own, other = best[source], best[base]
    transfer = results.transfer
    counts = results.probes.n["report"]
    n = counts.true + counts.false
    chance = max(counts.true, counts.false) / n if n else 0.5
    method = transfer.methods["mass_mean"][source]
    permuted = method.permuted if method else None
    words = transfer.bag_of_tokens["all"]
    checks = [
        Check(
            above(own.accuracy, chance),
            f"A probe fitted on `{source}` at index {own.layer} of the residual stream, chosen "
            f"by cross-validation, reads `{source}`: {number(own.accuracy)}; the commoner label "
            f"is {chance:.3f} of them.",
        ),
        Check(
            above(other.accuracy, chance),
            f"The same probe reads `{base}`, who says the opposite: {number(other.accuracy)}.",
        ),
        Check(
            least(permuted.p, LEVEL) if permuted else None,
            "Probes of permuted labels do worse"
            + (
                f": {permuted.mean:.3f} on average over {permuted.draws} draws, "
                f"{permuted.max:.3f} at most; p = {permuted.p:.3f} (mass mean)."
                if permuted
                else ": not measured."
            ),
        ),
        Check(
            holds(words, chance),
            f"The words of the statements alone tell nothing: {number(words)}.",
        ),
    ]
    notes = [
        _method(name, method, base)
        for name, of in transfer.methods.items()
        if (method := of[source]) is not None
    ]
    title = "The liar still represents the truth"
    figures = ("probes.png", "probe_heads.png", "transfer.png")
    return Claim(title, checks, figures, notes=notes)


def parting(results: Results, source: str, base: str, neutral: str) -> Claim:
    """Truth directions, and what the lens reads, part somewhere inside."""
    every = results.transfer.parting
    name = next((method for method in PARTING if method in every), None)
    pairs = every[name] if name else {}
    pair, control = _pair(pairs, source, base), _pair(pairs, source, neutral)
    lens = results.logit_attribution.lens.parting.half
    where = pair.parting_layer if pair else None
    checks = [
        Check(
            _ends(where),
            f"The two runs' truth directions ({_words(name)}, selection split) have a cosine "
            f"above one half, and first one below it at the output of layer {_layer(where)}.",
        ),
        _no_sooner(control.parting_layer if control else None, where, source, neutral),
        Check(
            _ends(lens),
            "Read off layer by layer (logit lens), half of the final difference between the runs "
            f"is there in what enters layer {_layer(lens)}, and from there on.",
        ),
    ]
    notes = [_parts(method, of, source, base) for method, of in every.items()]
    if pair and pair.layers:
        turning = pair.turning_layer
        at = "at no layer" if turning.value is None else f"at layer {_layer(turning)}"
        notes.append(f"Their cosine falls below 0 {at}, of {pair.layers} that read the truth.")
    title = "Inside the model the lie parts from the truth"
    return Claim(title, checks, ("logit_attribution.png",), notes=notes)


def erasing(results: Results, source: str, base: str) -> Claim:
    """Without truth in z of a few layers, neither the truth nor the lie can be told."""
    erasure, best = results.erasure, results.windows.best
    checks, notes = [], []
    for persona in (source, base):
        of = erasure.personas[persona]
        name, there = _nearest(of.windows, best)
        accuracy = there["leace"].accuracy if there else None
        checks.append(
            Check(
                holds(accuracy, 0.5),
                f"`{persona}`: with truth erased from z of layers {name}, the window nearest to "
                f"the best one, it is right on {number(accuracy)}; before, on "
                f"{number(of.none.accuracy)}.",
            )
        )
        for control, what in (("permuted", "permuted labels"), ("random", "a random direction")):
            change = there[f"leace - {control}"].p_correct if there else None
            expected = there["leace - none"].p_correct.value if there else None
            checks.append(
                Check(
                    _same_way(change, expected),
                    f"Erasing {what} changes less: difference in truth {number(change)}.",
                )
            )
        notes += _left(persona, erasure.probes.get(persona, {}))
    title = "Without truth in z of a few layers neither truth nor lie can be told"
    return Claim(title, checks, ("erasure.png",), notes=notes)


def _no_sooner(
    control: Crossing | None, where: Crossing | None, source: str, neutral: str
) -> Check:
    """Whether two runs that both tell the truth stay together where liar and honest part."""
    says = (
        f"Those of `{source}` and `{neutral}`, who both tell the truth, do not part before that: "
    )
    if where is None or where.value is None or control is None:
        return Check(None, f"{says}not measured.")
    value = control.value
    told = "they part nowhere" if value is None else f"they do at layer {_layer(control)}"
    return Check(value is None or value > where.value, f"{says}{told}.")


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


def _same_way(change: Interval | None, expected: float | None) -> bool | None:
    """Whether a difference is beyond 0 on the side that the change itself is on."""
    if change is None or expected is None:
        return None
    return above(change, 0.0) if expected > 0 else below(change, 0.0)


def _left(persona: str, probes: dict[str, dict[str, ProbeRate]]) -> list[str]:
    """Write what a fresh probe reads of erased z, beside whole z."""
    fresh = probes.get("fresh")
    if not fresh:
        return []
    return [
        f"`{persona}`: a fresh probe reads {number(fresh['erased'])} of erased z, the mean over "
        f"layers (the eraser is fitted on other statements), and {number(fresh['whole'])} of whole "
        "z."
    ]


def _method(name: str, method: Method, base: str) -> str:
    """Write what one kind of probe reads."""
    other = method.transfer.get(base)
    return (
        f"{_words(name)}, index {method.layer}: {number(method.accuracy)}; on `{base}` "
        f"{number(other)}."
    )


def _pair(pairs: Pairs, first: str, second: str) -> Parting | None:
    """Two personas, whichever is named first; None where they are not there."""
    return pairs.get(first, {}).get(second) or pairs.get(second, {}).get(first)


def _parts(name: str, pairs: Pairs, source: str, base: str) -> str:
    """Write where directions of one kind of probe part."""
    pair = _pair(pairs, source, base)
    if pair is None or not pair.layers:
        return f"{_words(name)}: no layer that reads the truth in both runs."
    where = pair.parting_layer
    layer = "nowhere" if where.value is None else f"at layer {_layer(where)}"
    return f"{_words(name)}: the cosine falls below one half {layer}."


def _words(name: str | None) -> str:
    """Write the name of a kind of probe."""
    return "no probe" if name is None else name.replace("_", " ")


def _ends(where: Crossing | Parted | None) -> bool | None:
    """Whether a layer's interval ends inside the model; None where there is no layer."""
    return None if where is None or where.value is None else where.high is not None


def _layer(row: Crossing | Parted | None) -> str:
    """Write a layer with its interval."""
    if row is None or row.value is None:
        return "(not measured)"
    if row.low is None and row.high is None:
        return f"{row.value}"
    ends = ("…" if end is None else end for end in (row.low, row.high))
    return f"{row.value} [{', '.join(map(str, ends))}]"
