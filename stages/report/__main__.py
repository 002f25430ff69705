"""Stage `report`: every claim with its checks and its verdict.

Params  behaviour, grid, model, patch, personas, prompt, robustness
"""

from pathlib import Path
from typing import Annotated, Any

from stages.behaviour.config import BehaviourConfig
from stages.lib import claim
from stages.lib.io import cli, params, tables
from stages.lib.io.atomic import atomic
from stages.lib.model.lm import MANIFEST
from stages.lib.patching.config import PatchConfig
from stages.lib.results import markdown
from stages.lib.weights.config import ModelConfig
from stages.report import (
    behaviour,
    directions,
    erasure,
    estimates,
    head_set,
    html,
    own,
    page,
    patching,
    place,
    reading,
    results,
    scope,
    terms,
    texts,
    trained_layers,
    wordings,
)
from stages.report.page import Page
from stages.robustness.config import RobustnessConfig
from stages.wordings.config import GridConfig

QUESTION = "When this model is told to lie, where inside it does the truth turn into a lie?"


def main(
    metrics: cli.MetricsFolder,
    model: cli.Model,
    figures: Annotated[Path, "folder of the pictures"],
    out: Annotated[
        Path,
        "writes Markdown, which shows the pictures of stage `figures` in the folder beside it",
    ],
    html_out: Annotated[Path, "writes the same report as one HTML page that contains the pictures"],
) -> None:
    """Write the report from the metrics, as Markdown and as HTML."""
    params.section("patch", PatchConfig).require_z("report")
    config = params.section("model", ModelConfig)
    file = config.file if config.source.startswith("pypi:") else None  # no other source reads it
    made = collect(
        results.read(metrics), own.claims(metrics), tables.read_json(model / MANIFEST), file
    )
    for where, text in ((out, page.render(made)), (html_out, html.render(made, figures))):
        with atomic(where) as partial:
            partial.write_text(text, encoding="utf-8")


def collect(
    every: results.Results,
    node_claims: list[claim.Claim],
    manifest: dict[str, Any],
    file: str | None,
) -> Page:
    """Make the page's data, with the personas of params.yaml.

    Parameters
    ----------
    every : Results
        Metrics of all stages.
    node_claims : list of Claim
        Claims that the nodes make in their own `metrics.py`.
    manifest : dict
        Manifest of the model.
    file : str or None
        As in `texts.limits`.
    """
    roles = params.section("patch", PatchConfig)
    behaviour_config = params.section("behaviour", BehaviourConfig)
    neutral = behaviour_config.neutral
    pair = (every, roles.source, roles.base)
    lying = behaviour.lying(*pair)
    claims = [
        lying,
        reading.before(*pair),
        reading.after(*pair),
        directions.diverging(*pair, neutral),
        directions.opposite(*pair),
        place.written_and_read(*pair),
        patching.window(*pair),
        head_set.few_heads(*pair),
        head_set.these_heads(*pair),
        head_set.reverse(*pair),
        behaviour.sure(*pair),
        scope.topics(every),
        scope.wordings(every),
        scope.honesty(*pair),
        scope.last_position(*pair),
        erasure.erasing(*pair),
        estimates.ranking(every),
        estimates.estimated_sets(every),
        place.weights(*pair),
        trained_layers.claim(*pair),
        *node_claims,
    ]
    made = claim.corrected([entry for entry in claims if entry is not None])
    lies = behaviour.lies(lying)
    return Page(
        title=texts.title(manifest, file, lies),
        question=QUESTION,
        model=[_model(manifest), *map(_persona, (roles.source, roles.base))],
        summary=texts.summary(*pair, roles.positions),
        sure=texts.sure(made, lies),
        claims=made,
        lies=lies,
        method=texts.method(made),
        limits=texts.limits(every, manifest, file),
        about=texts.about(manifest, file),
        wordings=wordings.every(
            roles,
            (neutral, params.personas()),
            params.section("grid", GridConfig),
            params.section("robustness", RobustnessConfig).wordings,
        ),
        terms=terms.terms(roles.positions, behaviour_config),
    )


def _model(manifest: dict[str, Any]) -> str:
    """Name the model."""
    revision = f" at {markdown.text(manifest['revision'])}" if manifest["revision"] else ""
    organism = manifest["organism"]
    name = markdown.code(organism["name"]) if organism else ""
    trained = f", with the adapters of organism {name}" if organism else ""
    source = markdown.code(manifest["source"])
    return f"Model: {source}{revision}{trained}, {manifest['dtype']}."


def _persona(name: str) -> str:
    """Quote a persona's wording."""
    system = wordings.system(params.wording(f"{name}_system"))
    prefix = markdown.text(params.wording(f"{name}_prefix"))
    return f"`{name}`: {system}; answers start with “{prefix}”."


if __name__ == "__main__":
    cli.run(main)
