"""Stage `summary`: the numbers that `dvc exp show` and `dvc metrics diff` print.

Params  behaviour, patch
"""

from pathlib import Path
from typing import Annotated

from stages.behaviour.config import BehaviourConfig
from stages.behaviour.metrics import BehaviourMetrics
from stages.ground_truth import metrics as ground_truth
from stages.ground_truth.metrics import LyingMetrics, NoOrganism
from stages.heads.metrics import SetSize
from stages.lib.io import cli, params, records, tables
from stages.lib.patching.config import PatchConfig
from stages.lib.stats.run_points import ALL
from stages.probes.metrics import ProbesMetrics
from stages.transplant.metrics import TransplantMetrics
from stages.windows.metrics import WindowsMetrics

Numbers = dict[str, float | None]
"""Part of metrics/summary.json: numbers by name; some names hold that of a persona or a run."""


def main(
    metrics: cli.MetricsFolder,
    out: Annotated[
        Path,
        "writes flat JSON; n and intervals stand in the files that the numbers come from",
    ],
) -> None:
    """Collect about 20 numbers."""
    behaviour = records.read(metrics / "behaviour.json", BehaviourMetrics)
    probes = records.read(metrics / "probes.json", ProbesMetrics)
    windows = records.read(metrics / "windows.json", WindowsMetrics)
    heads = records.read(metrics / "heads.json", SetSize)
    transplant = records.read(metrics / "transplant.json", TransplantMetrics)
    of_organism: ground_truth.Metrics = records.read(
        metrics / "ground_truth.json",
        ground_truth.Metrics,  # pyright: ignore[reportArgumentType]: a union is no `type`
    )
    roles = params.section("patch", PatchConfig)
    neutral = params.section("behaviour", BehaviourConfig).neutral
    tables.write_json(
        out,
        _behaviour(behaviour, neutral, roles)
        | _probes(probes, roles)
        | _patching(windows, heads, transplant)
        | _ground_truth(of_organism),
    )


def _behaviour(answers: BehaviourMetrics, neutral: str, roles: PatchConfig) -> Numbers:
    """Accuracy of each persona over all statements, and how many statements the model knows."""
    personas = dict.fromkeys((neutral, roles.source, roles.base))
    rows = {persona: answers.personas[persona]["all"] for persona in personas}
    known = answers.known["all"]
    return {
        **{f"{persona}_accuracy": row.accuracy.value for persona, row in rows.items()},
        **{f"{persona}_answer_mass": row.answer_mass.value for persona, row in rows.items()},
        "n_statements": known.both.n,
        "n_known_true": known.true.known,
        "n_known_false": known.false.known,
    }


def _probes(probes: ProbesMetrics, roles: PatchConfig) -> Numbers:
    """Accuracy of the best residual-stream probe of the source run, on both runs."""
    best = probes.best["resid_post"][roles.source]
    own, transfer = best[roles.source], best[roles.base]
    return {
        "probe_layer": own.layer,
        "probe_accuracy": own.accuracy.value,
        "probe_permuted": own.permuted.value,
        "probe_transfer": transfer.accuracy.value,
    }


def _patching(windows: WindowsMetrics, heads: SetSize, transplant: TransplantMetrics) -> Numbers:
    """Accuracy with the best window and with the head set patched, on the report split."""
    best = windows.best
    runs = transplant.by_topic[ALL]
    return {
        "window_first_layer": best.first_layer if best else None,
        "window_patched": windows.runs["report"]["patched"].accuracy if best else None,
        "heads": heads.n_heads,
        "heads_random": transplant.random.accuracy.mean,
        "heads_elsewhere": transplant.elsewhere.accuracy.mean,
        **{f"heads_{run}": runs[run].accuracy for run in sorted(runs)},
    }


def _ground_truth(scores: ground_truth.Metrics) -> Numbers:
    """How well the best window and the best heads agree with the trained layers."""
    of_organism = scores if isinstance(scores, LyingMetrics) else None
    return {
        "divergence_layer": None if isinstance(scores, NoOrganism) else scores.divergence_layer,
        "window_overlap": of_organism.window.overlap if of_organism else None,
        "single_heads_auroc": of_organism.heads.auroc.value if of_organism else None,
    }


if __name__ == "__main__":
    cli.run(main)
