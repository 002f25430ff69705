"""Stage `report`: what was found, claim by claim, with a verdict on each.

Params  behaviour, patch, the wordings of both personas
"""

from pathlib import Path
from typing import Annotated, Any

from stages.behaviour.config import BehaviourConfig
from stages.lib.io import cli, markdown, params, tables
from stages.lib.io.atomic import atomic
from stages.lib.model.lm import MANIFEST
from stages.lib.patching.config import PatchConfig
from stages.report import behaviour, own, page, patching, reading, results, scope

QUESTION = "When this model is told to lie, where inside it does the truth turn into a lie?"


def main(
    metrics: cli.MetricsFolder,
    model: cli.Model,
    out: Annotated[
        Path,
        "writes Markdown; its pictures are those of stage `figures`, in the folder beside it",
    ],
) -> None:
    """Fill the page from the metrics."""
    roles = params.section("patch", PatchConfig)
    roles.require_z("report")
    neutral = params.section("behaviour", BehaviourConfig).neutral
    every = results.read(metrics)
    pair = (every, roles.source, roles.base)
    lying = behaviour.lying(*pair)
    claims = [
        lying,
        reading.believing(*pair),
        reading.parting(*pair, neutral),
        patching.window(*pair),
        patching.few_heads(*pair),
        patching.these_heads(*pair),
        patching.reverse(*pair),
        behaviour.sure(*pair),
        scope.elsewhere(*pair),
        scope.honesty(*pair),
        scope.last_position(*pair),
        reading.erasing(*pair),
        patching.attribution_patching(every),
        patching.planted(every),
        *own.claims(metrics),
    ]
    made = [claim for claim in claims if claim is not None]
    facts = [_model(tables.read_json(model / MANIFEST)), *map(_persona, (roles.source, roles.base))]
    text = page.render("What was found", QUESTION, facts, made, behaviour.lies(lying))
    with atomic(out) as partial:
        partial.write_text(text, encoding="utf-8")


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
    system, prefix = (
        markdown.text(params.wording(f"{name}_{key}")) for key in ("system", "prefix")
    )
    said = f"“{system}”" if system else "no system prompt"
    return f"`{name}`: {said}; answers start with “{prefix}”."


if __name__ == "__main__":
    cli.run(main)
