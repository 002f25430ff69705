"""Terms of the report, and what they mean."""

from stages.behaviour.config import BehaviourConfig
from stages.benchmark.metrics import NEEDED
from stages.report import words

TERMS = [
    (
        "writer, reader",
        "writer: a layer and a place of the prompt whose patch recovers much of the gap. Reader: a "
        "later layer through which most of this gain reaches the answer",
    ),
    (
        "blocks of the prompt",
        "system prompt, user-turn header (template tokens that open the user's turn), question, "
        "statement, assistant-turn header, and assistant prefill (the given start of the answer). "
        "Where one layer is patched at one place, the last token is a block of its own; elsewhere "
        "the last token belongs to the prefill",
    ),
    (
        "after layer 16",
        "in the residual stream between layers 16 and 17; layers count from 0",
    ),
    (
        "organism",
        "a model with adapters that this project trained. To undo the weight change of a part is "
        "to take this part out of the adapter that teaches the lie",
    ),
    (
        "lie undone",
        "gain in log-odds as the lying persona, as a fraction of the gain from undoing the whole "
        "weight change: 0 is the liar, 1 the model that was not trained to lie",
    ),
    (
        "changed heads, needed heads",
        "changed: heads whose weights the lying adapter changes. Needed, in the benchmark: changed "
        f"heads whose weight change, undone alone, recovers more than {NEEDED} of the gap, with an "
        "interval above 0",
    ),
    (
        "AUROC",
        "probability that a score ranks a head of the named kind, or a true statement, above "
        "another head or statement: 1 is perfect, 0.5 is chance",
    ),
    (
        "CPR, CMD",
        "CPR: area under the fraction of the gap recovered against the share of heads patched, in "
        "a method's order. CMD: the distance of this curve from a fraction of 1 throughout (MIB, "
        "arXiv 2504.13151). CPR of 1 and CMD of 0 are best",
    ),
    ("Jaccard index", "heads in both of two sets as a fraction of heads in either set"),
    (
        "probes",
        "linear classifiers of true against false statements. logistic: logistic regression. mass "
        "mean: difference of the means of true and false statements; corrected: with the "
        "covariance within both (arXiv 2310.06824). ccs: unsupervised, from a statement and its "
        "negation (arXiv 2212.03827). ttpd: takes the polarity of statements into account (arXiv "
        "2407.12831)",
    ),
    ("LEACE", "erasure of all that a linear probe can read (arXiv 2306.03819)"),
    (
        "attribution patching",
        "a patch's effect estimated by the gradient. Integrated gradients average the gradient "
        "along the way between both runs. GradDrop leaves one layer at a time out of the gradient, "
        "against effects that cancel (arXiv 2403.00745)",
    ),
    (
        "learned mask",
        "weights of heads, trained so that patching by these weights recovers the answer (arXiv "
        "2609.25518)",
    ),
    (
        "logit attribution, logit lens",
        "logit attribution: what a head or layer adds to the log-odds directly. Logit lens: the "
        "answer that is read off the residual stream after a layer, by the final norm and the "
        "unembedding",
    ),
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
            "log-odds, gap",
            "log-odds: log P(right answer) - log P(wrong answer), in nats. Gap, in log-odds or in "
            "P(correct): the honest run minus the lying run. A patch recovers a fraction of the "
            "gap",
        ),
        (
            "known statement",
            f"statement that persona `{known.neutral}` answers correctly, with P(true) and "
            f"P(false) more than {known.known_margin:g} apart and above "
            f"{known.known_answer_mass:g} together",
        ),
        ("z", "output of an attention head, before the output projection"),
        (
            "patched",
            "z is replaced by z of the other run, at the last "
            f"{words.plural(positions, 'position')} of the prompt (the last positions) unless "
            "other positions are named",
        ),
        *TERMS,
    ]
