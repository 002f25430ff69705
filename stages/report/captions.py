"""Caption of each picture: `CAPTIONS` of a node's metrics.py, else the name of its file."""

from stages.lib.results import nodes

OVERVIEW = (
    "Accuracy by persona on all statements; on known ones, with windows of layers patched, and "
    "with the head set patched."
)


def caption(name: str) -> str:
    """Describe a picture by the name of its file."""
    stem = name.removesuffix(".png")
    return _captions().get(stem, f"{stem.replace('_', ' ')}.")


def _captions() -> dict[str, str]:
    """Collect the captions of all nodes, by name of the picture."""
    captions = {"overview": OVERVIEW}
    for module in nodes.modules("*/metrics.py"):
        captions |= getattr(module, "CAPTIONS", {})
    return captions
