"""Caption of each picture, in one sentence; the caption of any other picture is its file's name."""

CAPTIONS = {
    "trace": "One layer patched at one place of the prompt, in both directions; paths between "
    "the places that matter.",
    "grafts": "Honesty recovered by undoing parts of the organism's weight change, and the lie "
    "made by each part alone.",
    "benchmark": "AUROC of methods of localisation, on models whose lying heads are known.",
    "overview": "Accuracy by persona on all statements; on known ones, with windows of layers "
    "patched, and with the head set patched.",
    "behaviour": "Accuracy by persona and topic, and of answers above a confidence.",
    "grid": "Every combination of wordings: recall on true and on false statements.",
    "probes": "Truth probes by layer, fitted on each persona and scored on each; cosine of "
    "directions.",
    "probe_heads": "Truth probes on z of each head: of both runs, and of one run on the other.",
    "transfer": "Several kinds of truth probe by layer, and on topics and polarities that they "
    "were not fitted on.",
    "logit_attribution": "Direct logit attribution of attention and MLPs, and the logit lens.",
    "windows": "Windows of layers patched, by first layer.",
    "widths": "Windows of several sizes patched, in both directions.",
    "transplant": "The head set, its reverse and random sets of equal size; the set on each topic.",
    "heads": "Heads of the chosen window, patched alone and left out, and the head set as it "
    "grows.",
    "set_sizes": "Accuracy by number of heads, ordered by several rules.",
    "confidence": "Accuracy of answers above a confidence, patched and unpatched.",
    "robustness": "Sets chosen on one topic or wording, scored on every other; white is chance "
    "(0.5).",
    "controls": "The head set with the statement's own z, mean z and z of other statements; other "
    "heads.",
    "positions": "How many positions at the end of the prompt must be patched, and which block.",
    "erasure": "Accuracy with the truth erased from z, by window, and truth probes on erased z.",
    "attribution_patching": "Attribution patching: estimated and true effect of each head's patch.",
    "ground_truth": "Effects of windows and heads, and truth probes, beside the "
    "layers trained to lie.",
}


def caption(name: str) -> str:
    """Describe a picture by the name of its file."""
    stem = name.removesuffix(".png")
    return CAPTIONS.get(stem, f"{stem.replace('_', ' ')}.")
