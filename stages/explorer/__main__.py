"""Stage `explorer`: a page that shows single statements.

Params  patch, personas, prompt (to find the wordings in the prompts)
"""

from pathlib import Path
from typing import Annotated

from stages.explorer import page, prompt_tokens, statements, trace_maps
from stages.lib import inspection, names
from stages.lib.io import cli, params, records, tables
from stages.lib.io.atomic import atomic
from stages.lib.model import lm
from stages.lib.patching import blocks, head_effects
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.head_set import HeadSet


def main(
    pairs: cli.Pairs,
    prompts: Annotated[Path, "folder of prompts, one Parquet file per persona"],
    readouts: Annotated[Path, "folder of answers, one Parquet file per persona"],
    model: cli.Model,
    runs: Annotated[Path, "single statements' runs, as stage `inspect` wrote them (safetensors)"],
    heads: cli.HeadSet,
    attribution_patching: Annotated[
        Path, "measured effects of heads, on some statements (Parquet)"
    ],
    trace: Annotated[
        Path,
        "runs patched at one layer and block of the prompt; without this file the page has no maps",
    ],
    out: Annotated[Path, "writes one HTML file that needs no server and no network"],
) -> None:
    """Put all results on the inspected statements into one page."""
    roles = params.section("patch", PatchConfig)
    inspected_runs = inspection.read(runs)
    inspected_statements = statements.inspected_statements(
        tables.read(pairs, tables.PAIRS), inspected_runs
    )
    tokens = prompt_tokens.Tokens(lm.load_tokenizer(model))
    persona_contents = {
        persona: statements.persona(
            tables.read(prompts / f"{persona}.parquet", tables.PROMPTS),
            tables.read(readouts / f"{persona}.parquet", tables.READOUTS),
            inspected_statements,
            blocks.wording_of(persona),
            tokens,
        )
        for persona in params.personas()
    }
    measured = tables.read(attribution_patching, head_effects.EFFECTS)
    head_set = records.read(heads, HeadSet).heads
    maps = trace_maps.read(trace, inspected_statements, roles)
    content = {
        "source": roles.source,
        "base": roles.base,
        "positions": roles.positions,
        "personas": list(persona_contents),
        "blocks": [names.block(name) for name in prompt_tokens.SHOWN],
        "traced_blocks": [names.block(name) for name in trace_maps.blocks(roles.positions)],
        "vocabulary": tokens.texts,
        "set": head_set,
        "set_effects": statements.mean_effects(measured, head_set),
        "heads": inspected_runs.heads,
        "n_layers": inspected_runs.effects.shape[1],
        "n_heads": inspected_runs.effects.shape[2],
        "reasons": inspected_runs.reasons,
        "prefix": statements.prefix_attention(inspected_runs),
        "statements": statements.rows(
            inspected_statements, persona_contents, inspected_runs, measured, maps
        ),
    }
    with atomic(out) as partial:
        partial.write_text(page.render(content), encoding="utf-8")


if __name__ == "__main__":
    cli.run(main)
