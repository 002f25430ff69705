"""Stage `estimates`: what each head's patch does, estimated for all heads at once, and how well.

Reads   --statements, --known, --source and --base (prompts of both personas), --model; --effects,
        the runs with each head truly patched, to compare with
Writes  --out, rank correlation of estimated and true effects; --plot, one point a head
Params  patch, readout
"""

from pathlib import Path

from stages.lib import (
    cases,
    cli,
    estimates,
    forward,
    lm,
    params,
    patch,
    patch_tables,
    readout,
    tables,
)


def main(
    statements: Path,
    known: Path,
    source: Path,
    base: Path,
    model: Path,
    effects: Path,
    out: Path,
    plot: Path,
) -> None:
    """Estimate by attribution patching, on the statements that `effects` has patched."""
    config = params.section("patch", patch.Config)
    words = params.section("readout", readout.Config)
    patched = tables.read(effects, patch_tables.SCHEMA)
    found = cases.read(statements, known, source, base, cases.PARTS, None, by="part")
    found = found.only(patched["statement_id"])
    language_model = lm.load(model)
    answers = readout.answers(language_model.tokenizer, words)
    patcher = forward.Patcher(language_model, answers, found.base, found.source, config.positions)
    attribution = patcher.attribution("estimates")
    if not forward.is_main_process():
        return
    n_layers, n_heads = language_model.n_layers, language_model.n_heads
    true = estimates.true_effects(patched, found, n_layers, n_heads)
    estimated = estimates.toward_truth(attribution, found.label)
    score = estimates.score(estimated, true, found.subject)
    tables.write_json(out, {"source": config.source, "base": config.base, **score})
    tables.write_rows(plot, estimates.points(estimated, true))


if __name__ == "__main__":
    cli.run(main)
