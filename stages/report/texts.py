"""Texts of the report beside its claims: the summary, how verdicts are reached, the limits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from stages.behaviour.config import BehaviourConfig
from stages.benchmark.metrics import NEEDED
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
from stages.report import place, reading, words
from stages.report.results import Results


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
            f"Here it is an organism, {markdown.code(organism['name'])}: the chat model with "
            "adapters (LoRA) that were trained by this project."
        )
        lines += _taught(organism)
    return lines


def _taught(organism: dict[str, Any]) -> list[str]:
    """Say what the adapters of an organism teach."""
    facts = "One adapter teaches the facts that the statements are about."
    if not organism["layers"]:
        return [facts, "No adapter teaches a lie."]
    where = _range(organism["layers"])
    return [
        facts,
        f"A second one teaches the lie, in the attention of {where} alone: so it is known in which "
        "layers the lie can be.",
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
            f"Accuracy on known statements is {number(known[source].accuracy)} as `{source}`, and "
            f"{number(known[base].accuracy)} as `{base}`.",
            "behaviour",
        )
    ]
    if (where := place.sentence(results.trace)) is not None:
        notes.append(where)
    single_layer = results.widths.patched.get("1")
    best, patched = results.windows.best, results.windows.runs["report"].get("patched")
    if best and patched:
        notes.append(
            Note(
                f"Outputs of attention heads (z) of {words.layers(best)}, patched from `{source}` "
                f"into `{base}` at the last {words.plural(positions, 'position')} alone, bring "
                f"accuracy to {number(patched)}.",
                "windows",
            )
        )
    if single_layer:
        notes.append(
            Note(
                f"At these positions {words.layers(single_layer.best)} alone brings accuracy to "
                f"{number(single_layer.best.report[ALL])}.",
                "widths",
            )
        )
    heads, own = results.heads, results.transplant.by_topic[ALL].get("patched")
    if heads.n_heads and heads.share_of_all_heads and own and own.n:
        others = results.transplant.random.accuracy
        beside = (
            f"; on {others.lead.n} of these statements the set has {words.plain(others.own)}, and "
            f"{others.n_sets} random sets of equal size in the same layers "
            f"{words.plain(others.mean)} on average, at most {words.plain(others.max)}"
        )
        does = "brings" if heads.n_heads == 1 else "bring"
        notes.append(
            Note(
                f"{words.plural(heads.n_heads, 'head')} ({heads.share_of_all_heads:.1%}) {does} "
                f"accuracy to {number(own)}" + (beside if others.own is not None else "") + ".",
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
    return (
        f"Verdicts on {words.plural(len(verdicts), 'claim')}: {', '.join(counts)}. All of "
        "them are about this model in these wordings: see the limits. Most checks ask for more "
        "than chance, not for a large effect: the table of each claim has the bounds."
    )


def method(claims: Sequence[Claim], subjects: int) -> list[str]:
    """Say how verdicts are reached, and what was fixed beforehand."""
    n_p = sum(check.chance is not None for claim in claims for check in claim.checks)
    return [
        "A claim is supported if each of its checks is, not supported if the measurement of "
        "one lies wholly outside what was expected, and inconclusive otherwise.",
        "Intervals are of 95 %, with statements about one subject (a country, element or number) "
        "as a cluster: of rates by Wilson's formula with the design effect of the clusters, of "
        "means and differences by a bootstrap over subjects. n counts statements; the report split "
        f"has {subjects} subjects with known statements. Where n differs between lines, the "
        "smaller numbers are subsets of the same statements. Means over organisms have intervals "
        "over organisms. An interval that reaches over a bound is inconclusive.",
        "Claims and bounds are the same for every model. They were not registered beforehand: "
        "results of this project's own organisms were known when some of them were set.",
        f"Two runs do equally well if the interval of their difference lies within ±{MARGIN:.2f}; "
        f"chance is an accuracy within ±{reading.HALF:.2f} of 0.5. An interval that merely holds 0 "
        "shows nothing.",
        f"The {words.plural(n_p, 'p-value')} of this page are corrected together (Holm), and must "
        f"then be below {LARGEST_P}. Intervals are not corrected: all checks of a claim must pass.",
        f"A random head set does as well as the head set if it is at most {MARGIN:.2f} below it; "
        "fewer than one in ten may, by accuracy and by P(correct). p is the fraction of sets that "
        "do as well, the head set counted as one of them: (1 + such sets) / (1 + random sets). Of "
        "the two measures the larger p counts.",
        "A probe does not read the truth if its interval ends less than "
        f"{reading.HALF:.2f} above the share of the more frequent label, which is the accuracy of "
        "a constant answer.",
        f"Fixed in the code, for every model: the {reading.READS} probe decides what is read, mass "
        "mean corrected (which has an interval on the layer) where directions diverge. "
        "Other kinds of probe are shown.",
        "Windows and heads are chosen on the selection split, and numbers are of the report split, "
        "unless the line says selection split. No subject is in both splits.",
    ]


def terms(positions: int, known: BehaviourConfig) -> list[tuple[str, str]]:
    """Define the terms of the page.

    Parameters
    ----------
    positions : int
        Number of positions at the end of the prompt that are patched, unless others are named.
    known : BehaviourConfig
        Section `behaviour`, which says when a statement is known.
    """
    return [
        (
            "accuracy",
            "fraction of statements whose more probable answer, true or false, is right. A "
            "constant answer has 0.5, so accuracy near 0.5 is given by label too",
        ),
        ("P(correct)", "probability of the right answer, normalised over both answers"),
        (
            "log-odds",
            "log P(right answer) - log P(wrong answer), in nats; the gap is that of the honest run "
            "minus that of the lying run; honesty restored, or recovered, is a fraction of the gap",
        ),
        (
            "known statement",
            f"one that persona `{known.neutral}` answers correctly, with P(true) and P(false) more "
            f"than {known.known_margin:g} apart and above {known.known_answer_mass:g} together",
        ),
        ("z", "what an attention head computes before the output projection"),
        (
            "patched",
            "z is replaced by z of the other run, at the last "
            f"{words.plural(positions, 'position')} of the prompt (the last positions) unless "
            "others are named",
        ),
        (
            "writer, reader",
            "a place of the prompt and a layer there whose patch recovers much of the gap, and a "
            "later layer through which most of that reaches the answer",
        ),
        (
            "blocks of the prompt",
            "system prompt, user-turn header (template tokens that open the user's turn), "
            "question, statement, assistant-turn header, and assistant prefill (the given start of "
            "the answer); where a layer is patched at one place, the last token is a block of its "
            "own, elsewhere it belongs to the prefill",
        ),
        ("after layer 16", "in the residual stream that layer 16 puts out; counts begin at 0"),
        (
            "organism",
            "a model with adapters that this project trained; undoing the training of a part takes "
            "that part of the adapter out",
        ),
        (
            "changed heads, needed heads",
            "those whose weights the lying adapter changes, and those of them without whose change "
            f"alone more than {NEEDED} of honesty comes back",
        ),
        (
            "AUROC",
            "chance that a score ranks a head of the named kind, or a true statement, above "
            "another one: 1 is perfect, 0.5 is chance",
        ),
        (
            "CPR, CMD",
            "area under the fraction recovered against the share of heads patched, in a method's "
            "order, and its distance from a fraction of 1 throughout (MIB, arXiv 2504.13151): CPR "
            "of 1 and CMD of 0 are best",
        ),
        ("Jaccard index", "heads in both of two sets as a fraction of heads in either"),
        (
            "probes",
            "linear readers of truth. logistic: logistic regression. mass mean: difference of the "
            "means of true and false statements; corrected: with the covariance within both (arXiv "
            "2310.06824). ccs: unsupervised, from a statement and its negation (arXiv 2212.03827). "
            "ttpd: with the polarity of statements taken into account (arXiv 2407.12831)",
        ),
        ("LEACE", "erasure of all that a linear probe can read (arXiv 2306.03819)"),
        (
            "attribution patching",
            "a patch's effect estimated by the gradient; integrated gradients average the gradient "
            "along the way between both runs; GradDrop leaves one layer out of the gradient at a "
            "time, against effects that cancel (arXiv 2403.00745)",
        ),
        (
            "learned mask",
            "weights of heads, trained so that patching by weight restores the answer "
            "(arXiv 2609.25518)",
        ),
        (
            "logit attribution, logit lens",
            "what a head or layer adds to the log-odds directly, and the answer that is read off "
            "the residual stream before the last layer",
        ),
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
    organism = manifest["organism"]
    notes = _trained(bool(organism["layers"])) if organism else []
    notes.append(Note("Nothing is said of other models, whose circuits may differ."))
    if file and file.lower().endswith(".gguf"):
        kind = file.lower().removesuffix(".gguf").rpartition(".")[2].upper()
        notes.append(
            Note(
                f"Weights come from a file in format {kind} of GGUF and run in "
                f"{manifest['dtype']}: "
                "quantised weights, not the original ones."
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
            "Stages take different numbers of statements, named as n beside each number. Where n "
            "is below about 50 only large effects can be told."
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
