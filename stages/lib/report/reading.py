"""Claims of where activations tell truth from falsehood, and of what happens without that."""

from typing import Any

from stages.lib.report.claim import Check, Claim, above, holds, number

Metrics = dict[str, Any]  # by stage
PARTING = ("mass_mean_corrected", "mass_mean")  # the methods with an interval, the better first


def believing(found: Metrics, source: str, base: str) -> Claim:
    """Truth can be read from the residual stream of the liar, with the honest run's probe."""
    best = found["probes"]["best"]["resid_post"][source]
    own, other = best[source], best[base]
    words = found["transfer"]["bag_of_tokens"]["all"]
    checks = [
        Check(
            above(own["accuracy"], 0.5),
            f"A probe fitted on `{source}` at layer {own['layer']} of the residual stream, chosen "
            f"by cross-validation, reads `{source}`: {number(own['accuracy'])}.",
        ),
        Check(
            above(other["accuracy"], 0.5),
            f"The same probe reads `{base}`, who says the opposite: {number(other['accuracy'])}.",
        ),
        Check(
            holds(own["permuted"], 0.5),
            f"Fitted on permuted labels it reads nothing: {number(own['permuted'])}.",
        ),
        Check(
            holds(words, 0.5),
            f"The words of the statements alone tell nothing: {number(words)}.",
        ),
    ]
    notes = [_method(name, of[source], base) for name, of in found["transfer"]["methods"].items()]
    title = "The liar still represents the truth"
    return Claim(title, checks, ("probes.png", "transfer.png"), notes=notes)


def parting(found: Metrics, source: str, base: str) -> Claim:
    """Directions of truth, and what the lens reads, part somewhere inside."""
    name = next(method for method in PARTING if method in found["transfer"]["parting"])
    pairs = found["transfer"]["parting"][name]
    pair = pairs.get(source, {}).get(base) or pairs[base][source]
    lens = found["attribution"]["lens"]["parting"]["half"]
    where = pair["parting_layer"]
    checks = [
        Check(
            None if where["value"] is None else where["low"] is not None,
            f"The two runs' directions of truth ({name.replace('_', ' ')}) have a cosine above one "
            f"half, and below it from layer {_layer(where)} of the residual stream on.",
        ),
        Check(
            None if lens["value"] is None else lens["low"] is not None,
            "Read off layer by layer (logit lens), half of the final difference between the runs "
            f"is there from layer {_layer(lens)} on.",
        ),
    ]
    turning = pair["turning_layer"]
    notes = [
        *(
            _parts(name, every, source, base)
            for name, every in found["transfer"]["parting"].items()
        ),
        "Opposite to each other (cosine below 0) they are "
        + ("at no layer." if turning["value"] is None else f"from layer {_layer(turning)} on."),
    ]
    title = "Inside the model the lie parts from the truth"
    return Claim(title, checks, ("attribution.png",), notes=notes)


def erasing(found: Metrics, source: str, base: str) -> Claim:
    """Without truth in z of a few layers, neither the truth nor the lie can be told."""
    personas = found["erasure"]["personas"]
    checks, notes = [], []
    for persona in (source, base):
        windows = personas[persona]["windows"]
        name, found_there = _most_changed(windows)
        accuracy = found_there["leace"]["accuracy"] if found_there else None
        change = found_there["leace - permuted"]["truth"] if found_there else None
        checks += [
            Check(
                holds(accuracy, 0.5),
                f"`{persona}`: with truth erased from z of layers {name}, the most changed of "
                f"{len(windows)} windows, it is right on {number(accuracy)}; before, on "
                f"{number(personas[persona]['none']['accuracy'])}.",
            ),
            Check(
                None if change is None or change["low"] is None else not holds(change, 0.0),
                "Erasing permuted labels instead changes less: difference in truth "
                f"{number(change)}.",
            ),
        ]
        left = found["erasure"]["probes"][persona]["fresh"]["erased"]
        notes.append(
            f"`{persona}`: erased on other statements, truth is not all gone from z: a fresh probe "
            f"reads {number(left)} of it, the mean over layers."
        )
    title = "Without truth in z of a few layers neither truth nor lie can be told"
    return Claim(title, checks, ("erasure.png",), notes=notes)


def _most_changed(windows: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
    """Name the window in which erasing changes truth most."""
    measured = {
        name: found for name, found in windows.items() if found["leace - none"]["truth"]["n"]
    }
    if not measured:
        return "of any window", None
    name = max(measured, key=lambda key: abs(measured[key]["leace - none"]["truth"]["value"]))
    return name, measured[name]


def _method(name: str, found: dict[str, Any], base: str) -> str:
    """Write what one kind of probe reads."""
    words, other = name.replace("_", " "), found["transfer"].get(base)
    return (
        f"{words[0].upper()}{words[1:]}, layer {found['layer']}: {number(found['accuracy'])}; on "
        f"`{base}` {number(other)}."
    )


def _parts(name: str, every: dict[str, Any], source: str, base: str) -> str:
    """Write where directions of one kind of probe part."""
    pair = every.get(source, {}).get(base) or every[base][source]
    where = pair["parting_layer"]
    layer = "nowhere" if where["value"] is None else f"from layer {_layer(where)} on"
    return f"Below one half by kind of probe, {name.replace('_', ' ')}: {layer}."


def _layer(row: dict[str, Any]) -> str:
    """Write a layer with its interval."""
    if row["value"] is None:
        return "(not measured)"
    interval = "" if row["low"] is None else f" [{row['low']}, {row['high']}]"
    return f"{row['value']}{interval}"
