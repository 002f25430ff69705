"""Stage `summary`: the numbers that `dvc exp show` and `dvc metrics diff` print.

Params  behaviour, patch
"""

from pathlib import Path
from typing import Annotated, Any

from stages.behaviour.config import BehaviourConfig
from stages.lib.io import cli, params, tables
from stages.lib.patching.config import PatchConfig

STAGES = ("behaviour", "probes", "windows", "heads", "transplant", "localisation")


def main(
    metrics: cli.MetricsFolder,
    out: Annotated[
        Path,
        "writes flat JSON; n and intervals stand in the files that the numbers come from",
    ],
) -> None:
    """Collect about 20 numbers."""
    found = {stage: tables.read_json(metrics / f"{stage}.json") for stage in STAGES}
    roles = params.section("patch", PatchConfig)
    neutral = params.section("behaviour", BehaviourConfig).neutral
    tables.write_json(
        out,
        _behaviour(found["behaviour"], neutral, roles)
        | _probes(found["probes"], roles)
        | _patching(found["windows"], found["heads"], found["transplant"])
        | _localisation(found["localisation"]),
    )


def _behaviour(found: dict[str, Any], neutral: str, roles: PatchConfig) -> dict[str, Any]:
    """How often each persona is right over all statements, and how many the model knows."""
    personas = dict.fromkeys((neutral, roles.source, roles.base))
    rows = {persona: found["personas"][persona]["all"] for persona in personas}
    known = found["known"]["all"]
    return {
        **{f"{persona}_accuracy": row["accuracy"]["value"] for persona, row in rows.items()},
        **{f"{persona}_truth_mass": row["truth_mass"]["value"] for persona, row in rows.items()},
        "n_statements": known["both"]["n"],
        "n_known_true": known["true"]["known"],
        "n_known_false": known["false"]["known"],
    }


def _probes(found: dict[str, Any], roles: PatchConfig) -> dict[str, Any]:
    """The best residual-stream probe of the source run, and how it reads the base run."""
    best = found["best"]["resid_post"][roles.source]
    own, transfer = best[roles.source], best[roles.base]
    return {
        "probe_layer": own["layer"],
        "probe_accuracy": own["accuracy"]["value"],
        "probe_permuted": own["permuted"]["value"],
        "probe_transfer": transfer["accuracy"]["value"],
    }


def _patching(
    windows: dict[str, Any], heads: dict[str, Any], transplant: dict[str, Any]
) -> dict[str, Any]:
    """What the best window and the head set do to accuracy on the report part."""
    best = windows["best"]
    runs = transplant["by_split"]["all"]
    return {
        "window_first_layer": best["first_layer"] if best else None,
        "window_patched": windows["runs"]["report"]["patched"]["accuracy"] if best else None,
        "heads": heads["n_heads"],
        "heads_random": transplant["random"]["accuracy"]["mean"],
        "heads_elsewhere": transplant["elsewhere"]["accuracy"]["mean"],
        **{f"heads_{run}": runs[run]["accuracy"] for run in sorted(runs)},
    }


def _localisation(found: dict[str, Any]) -> dict[str, Any]:
    """How near the best window and the best heads are to what was planted."""
    planted = found.get("planted")
    return {
        "parting_layer": found.get("parting_layer"),
        "window_overlap": found["window"]["overlap"] if planted else None,
        "effects_auroc": found["heads"]["auroc"]["value"] if planted else None,
    }


if __name__ == "__main__":
    cli.run(main)
