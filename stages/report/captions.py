"""What each picture shows, in one sentence; a picture of a new stage has its name."""

CAPTIONS = {
    "trace": "One layer patched at one place of the prompt, in both directions; paths between "
    "the places that matter.",
    "grafts": "Honesty restored by taking parts of the organism's change of weights out.",
    "benchmark": "Methods of localisation on models whose lying heads are known.",
    "overview": "Accuracy by persona, with windows of layers patched, with the head set patched.",
    "behaviour": "Accuracy by persona and topic, and of answers that are at least so confident.",
    "grid": "Every combination of wordings: recall on true and on false statements.",
    "probes": "Truth probes by layer, from each persona to each; cosine of their directions.",
    "probe_heads": "Truth probes on z of each head.",
    "transfer": "Five kinds of probe by layer, and on topics, personas and polarities that "
    "they were not fitted on.",
    "logit_attribution": "What attention and MLPs write into the answer, and the logit lens.",
    "windows": "Windows of layers patched, by first layer.",
    "widths": "Windows of several sizes patched, in both directions.",
    "transplant": "The head set on each topic, its reverse, and random sets of as many heads.",
    "heads": "Heads of the best window, patched alone and left out, and the set as it grows.",
    "set_sizes": "Accuracy by number of heads, in the order of several rules.",
    "confidence": "Accuracy of the answers that are at least so confident, patched and not.",
    "robustness": "Sets chosen on one topic or wording, scored on every other.",
    "controls": "Own z beside the mean of z, z of other statements, and other heads.",
    "positions": "How many last positions must be patched, and which block of the prompt.",
    "erasure": "Accuracy with truth erased from z, by window, and probes on erased z.",
    "attribution_patching": "Effect of each head's patch, estimated by gradient and true.",
    "ground_truth": "Effects of single heads by layer, and the layers that were trained to lie.",
}


def caption(name: str) -> str:
    """Describe a picture by the name of its file."""
    stem = name.removesuffix(".png")
    return CAPTIONS.get(stem, f"{stem.replace('_', ' ')}.")
