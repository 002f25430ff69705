"""Caption of each picture, in one sentence; the caption of any other picture is its file's name."""

CAPTIONS = {
    "trace": "Fraction of the gap recovered by one layer patched at one place of the prompt; "
    "both directions; paths between the places that matter.",
    "grafts": "Honesty recovered by undoing parts of the organism's weight change, and the lie "
    "made by each part alone.",
    "benchmark": "AUROC of methods of localisation, on models whose changed heads are known.",
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
    "windows": "Accuracy and P(correct) of the patched run, by first layer of the window.",
    "widths": "P(correct) by first layer, and accuracy of the best window, for windows of several "
    "sizes in both directions.",
    "transplant": "Accuracy with the head set patched in both directions, and with random sets of "
    "equal size; accuracy on each topic.",
    "heads": "P(correct) gained by each head of the best window alone, and lost by leaving it out; "
    "accuracy as the head set grows.",
    "set_sizes": "Accuracy by number of heads, ordered by several rules.",
    "confidence": "Accuracy of answers above a confidence, patched and unpatched.",
    "robustness": "Accuracy with sets that were chosen on one topic or wording, on every other.",
    "controls": "Accuracy with the head set patched: z of the statement, mean z and z of other "
    "statements; and with other heads patched.",
    "positions": "P(correct) by number of last positions patched; accuracy by block of the prompt.",
    "erasure": "Accuracy with the truth erased from z, by window, and truth probes on erased z.",
    "attribution_patching": "Attribution patching: estimated and true effect of each head's patch.",
    "ground_truth": "Effects of windows and heads, and truth probes, beside the "
    "layers trained to lie.",
}


def caption(name: str) -> str:
    """Describe a picture by the name of its file."""
    stem = name.removesuffix(".png")
    return CAPTIONS.get(stem, f"{stem.replace('_', ' ')}.")
