"""Which persona gives z, and whose run is patched, by name of the run."""

from stages.lib.patching.config import PatchConfig

Roles = tuple[str, str]  # of the persona that gives z, and of the persona whose run is patched

RUNS: dict[str, Roles] = {  # in the order of plots
    "source": ("source", "source"),
    "patched": ("source", "base"),
    "base": ("base", "base"),
    "reverse": ("base", "source"),
}


def personas(roles: Roles, config: PatchConfig) -> dict[str, str]:
    """Return the persona that gives z (``source``) and the persona that is patched (``base``)."""
    source, base = (getattr(config, role) for role in roles)
    return {"source": source, "base": base}
