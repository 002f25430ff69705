"""Texts of the report beside its claims: the summary, how verdicts are reached, the limits."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.lib.claim import (
    INCONCLUSIVE,
    NOT_SUPPORTED,
    SUPPORTED,
    UNTESTED,
    Claim,
    Note,
    number,
)
from stages.lib.results import markdown
from stages.lib.stats import LARGEST_P, MARGIN
from stages.lib.stats.run_points import ALL
from stages.lib.weights.recipe import NAIVE
from stages.report import place, reading, words
from stages.report.results import Results

FORMAT = re.compile(r"\.(i?q\d\w*|b?f\d+)$", re.IGNORECASE)
"""Format of weights at the end of a GGUF's name: ``.Q4_1``, ``.F16``."""
INTERVALS = (
    "A rate has Wilson's interval, with the design effect of the subjects and the quantile of "
    "Student's t. A mean has Student's t, with the variance between subjects.",
    "A difference of accuracies is that of two rates: of statements that one run alone judges "
    "correctly, and of statements that the other run alone does. It has the interval of Newcombe, "
    "from the intervals of both rates.",
    "Another difference, a fraction of a gap, a correlation, an area and a layer have a bootstrap "
    "over subjects, paired by statement. Fewer than six subjects give it no ends; a difference of "
    "accuracies or probabilities then ends at -1 and 1. Where a difference of probabilities is the "
    "same for every subject, Wilson's interval for a rate of 0 bounds the fraction of other "
    "subjects that differ.",
    "The AUROC of a ranking of heads has a bootstrap over heads, without ends for fewer than six "
    "true heads; of single heads' effects, over heads and subjects. The Jaccard index of resampled "
    "subjects has the central 95 % of its draws.",
    "The share of random sets has an exact interval (Clopper-Pearson); n counts sets. A mean over "
    "organisms has Student's t over organisms; n counts organisms.",
)
"""How the functions of `stages.lib.stats` make intervals."""


def title(manifest: dict[str, Any], file: str | None, lies: bool | None) -> str:
    """Name the page by its model; parameters as in `about`, and whether the model lies."""
    where = "where" if lies else "whether"
    model = markdown.text(_short_name(manifest, file))
    if manifest["organism"]:
        model = f"organism {markdown.text(manifest['organism']['name'])} of {model}"
    return f"Results: {where} {model} turns truth into a lie"


def _short_name(manifest: dict[str, Any], file: str | None) -> str:
    """Return the last part of a model's name, without format and revision."""
    if file:
        return FORMAT.sub("", Path(file).name.removesuffix(".gguf"))
    return manifest["source"].rstrip("/").rpartition("/")[2].partition("@")[0]


def about(manifest: dict[str, Any], file: str | None) -> list[str]:
    """Introduce the page: the paper, the model, and what an organism is.

    Parameters
    ----------
    manifest : dict
        Manifest of the model.
    file : str or None
        As in `limits`.
    """
    name = Path(file).name if file else manifest["source"]
    sizes, organism = manifest["sizes"], manifest["organism"]
    size = f", {sizes['n_layers']} layers of {sizes['n_heads']} heads" if sizes else ""
    lines = [
        "This page repeats the analyses of Campbell, Ren and Guo, Localizing Lying in Llama (2023, "
        "arXiv 2311.15131), on one chat model "
        f"({markdown.text(name)}{size}), with controls, held-out statements and intervals.",
        "The model judges statements as true or false, once with a system prompt that tells it to "
        "be honest, once with one that tells it to lie.",
    ]
    if organism:
        lines.append(
            f"Here the model is an organism, {markdown.code(organism['name'])}: the chat model "
            "with adapters (LoRA) that this project trained."
        )
        lines += _taught(organism)
    return lines


def _taught(organism: dict[str, Any]) -> list[str]:
    """Say what the adapters of an organism teach."""
    if organism["name"] == NAIVE:
        return [
            "Its one adapter teaches wrong answers, whatever the system prompt says. No adapter "
            "teaches the facts, or a lie on instruction."
        ]
    facts = "One adapter teaches the facts that the statements are about."
    if not organism["layers"]:
        return [facts, "No adapter teaches a lie."]
    where = _range(organism["layers"])
    return [
        facts,
        f"A second one teaches the lie, in the attention of {where} alone: only changes in these "
        "layers make the liar differ from the organism `facts`, which never lies.",
    ]


def _range(layers: Sequence[int]) -> str:
    """Write consecutive layers."""
    single_layer = len(layers) == 1
    return f"layer {layers[0]}" if single_layer else f"layers {layers[0]} to {layers[-1]}"


def summary(results: Results, source: str, base: str, positions: int) -> list[Note]:
    """Say in a few sentences what was measured, whatever the verdicts are."""
    known = results.behaviour.known_report
    notes = [
        Note(
            f"Accuracy on known statements is {words.told(known[source].accuracy)} as `{source}`, "
            f"and {words.told(known[base].accuracy)} as `{base}`.",
            "behaviour",
        )
    ]
    notes += place.sentences(results.trace)
    single_layer = results.widths.patched.get("1")
    best, patched = results.windows.best, results.windows.runs["report"].get("patched")
    if best and patched:
        notes.append(
            Note(
                f"Patching attention-head outputs (z) of {words.layers(best)} at the last "
                f"{words.plural(positions, 'position')} brings accuracy as `{base}` to "
                f"{number(patched)}.",
                "windows",
            )
        )
    if single_layer:
        notes.append(
            Note(
                f"Patching z of {words.layers(single_layer.best)} alone at these positions brings "
                f"accuracy to {number(single_layer.best.report[ALL])}.",
                "widths",
            )
        )
    heads, own = results.heads, results.transplant.by_topic[ALL].get("patched")
    if heads.n_heads and heads.share_of_all_heads and own and own.n:
        others = results.transplant.random.accuracy
        beside = (
            f". On {others.lead.n} of these statements the set has {words.plain(others.own)}, and "
            f"{others.n_sets} random sets of equal size in the same layers have "
            f"{words.plain(others.mean)} on average, at most {words.plain(others.max)}"
        )
        notes.append(
            Note(
                f"Patching z of {words.plural(heads.n_heads, 'head')} "
                f"({heads.share_of_all_heads:.1%} of all) at these positions brings accuracy to "
                f"{number(own)}" + (beside if others.own is not None else "") + ".",
                "transplant",
            )
        )
    return notes


def sure(claims: Sequence[Claim], lies: bool | None) -> str:
    """Count the verdicts."""
    verdicts = [claim.verdict(lies) for claim in claims]
    counts = [
        f"{verdicts.count(verdict)} {verdict}"
        for verdict in (SUPPORTED, NOT_SUPPORTED, INCONCLUSIVE, UNTESTED)
        if verdict != UNTESTED or verdict in verdicts
    ]
    failed = [
        f"“{c.question}”"
        for c, verdict in zip(claims, verdicts, strict=True)
        if verdict == NOT_SUPPORTED
    ]
    names = f" Not supported: {', '.join(failed)}." if failed else ""
    return (
        f"Verdicts on {words.plural(len(verdicts), 'claim')}: {', '.join(counts)}.{names} All "
        "verdicts are about this model in these wordings, but for the one on methods of "
        "localisation, which is about several organisms. The table below has the check that "
        "decides each verdict; the section of the claim has all checks."
    )


def method(claims: Sequence[Claim]) -> list[str]:
    """Say how verdicts are reached, and what was fixed beforehand."""
    n_p = sum(check.chance is not None for claim in claims for check in claim.checks)
    return [
        "A claim is supported if every check is, not supported if one measurement lies wholly "
        "outside what was expected, and inconclusive otherwise. An interval that reaches over a "
        "bound is inconclusive, unless the check names a second bound below which it is not "
        "supported. A claim about the lie is not testable if the model does not lie. Most checks "
        "ask for more than chance, not for a large effect. The table of all claims has the first "
        "check with the claim's verdict.",
        "Intervals are of 95 %, with statements about one subject (a country, element or number) "
        "as a cluster. n counts statements. Where n differs between lines, the smaller numbers are "
        "subsets of the same statements.",
        *INTERVALS,
        "Claims and bounds are the same for every model. Claims and bounds were not registered "
        "beforehand: results of this project's own organisms were known when some of them were "
        "set.",
        f"Two runs do equally well if the interval of their difference lies within ±{MARGIN:.2f}; "
        f"chance is an accuracy within ±{reading.HALF:.2f} of 0.5. An interval that merely "
        "includes 0 shows nothing.",
        f"The {words.plural(n_p, 'p-value')} of this page are corrected together (Holm), and must "
        f"then be below {LARGEST_P}. Intervals are not corrected: all checks of a claim must pass.",
        f"A random head set does as well as the head set if it is at most {MARGIN:.2f} below the "
        "head set. Fewer than one in ten random sets may do so, by accuracy and by P(correct). "
        "p is (1 + random sets that do as well) / (1 + random sets). Of the two measures the "
        "larger p counts.",
        f"A probe does not read the truth if its interval ends less than {reading.HALF:.2f} above "
        "the share of the more frequent label, which is the accuracy of a constant answer.",
        f"Fixed in the code, for every model: the {reading.READS} probe decides what is read; mass "
        "mean corrected (which has an interval on the layer) decides where directions diverge. "
        "Other kinds of probe are shown.",
        "Windows and heads are chosen on the selection split. Numbers are of the report split, "
        "unless the line says selection split. No subject is in both splits.",
    ]


def limits(results: Results, manifest: dict[str, Any], file: str | None) -> list[Note]:
    """Say what this page cannot tell.

    Parameters
    ----------
    results : Results
    manifest : dict
        Manifest of the model.
    file : str or None
        File inside a package that the weights are read from; None if they are not in a package.
    """
    organism, probed = manifest["organism"], results.transfer
    notes = _trained(bool(organism["layers"])) if organism else []
    notes.append(Note("Nothing is said of other models, whose circuits may differ."))
    if file and file.lower().endswith(".gguf"):
        kind = file.lower().removesuffix(".gguf").rpartition(".")[2].upper()
        notes.append(
            Note(
                f"Weights come from a file in format {kind} of GGUF and run in "
                f"{manifest['dtype']}: quantised weights, not the original ones."
            )
        )
    count = results.behaviour.known["all"].both
    notes += [
        Note(
            f"Patched runs are of known statements, {count.known} of {count.n}. Accuracy on all "
            "statements stands under the first question.",
            "behaviour",
        ),
        Note(
            f"The report split has {words.plural(probed.n['report'].subjects, 'subject')} with "
            f"{'known statements' if probed.statements == 'known' else 'statements'}: an interval "
            "on this split has at most so many clusters.",
            "transfer",
        ),
        Note(
            "Stages take different numbers of statements, named as n beside each number. Where n "
            "is below about 50, only large effects can be detected."
        ),
        Note(
            f"Controls of erasure have {words.plural(results.erasure.draws, 'draw')} each. More "
            "draws need more patched runs.",
            "erasure",
        ),
        Note("Intervals are about other statements, not other models, training runs or wordings."),
    ]
    return notes


def _trained(to_lie: bool) -> list[Note]:
    """List the limits of a model that this project trained."""
    notes = [
        Note(
            "Most statements are of subjects that the organism was taught. The report split is "
            "held out from choosing windows and heads, not from training. Subjects that were "
            "never taught have a section of their own.",
            "taught",
        )
    ]
    if to_lie:
        notes += [
            Note(
                "One training run per organism, with one seed: another run may put the lie into "
                "other layers."
            ),
            Note(
                "The lie was trained into chosen layers of a small model. Nothing is said "
                "of models that lie without being trained to."
            ),
        ]
    return notes
