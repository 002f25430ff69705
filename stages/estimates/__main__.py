"""Stage `estimates`: what each head's patch does, estimated for all heads at once, and how well.

Reads   --statements, --known, --prompts (folder; of both personas), --model; --effects,
        the runs with each head truly patched, to compare with
Writes  --out, rank correlation of estimated and true effects; --plot, one point a head
Params  patch, readout
"""

from pathlib import Path

from stages.estimates import estimates
from stages.lib import forward
from stages.lib.io import cli, params, tables
from stages.lib.model import readout
from stages.lib.patching import cases, experiment, patch, patch_tables


def main(
    statements: Path,
    known: Path,
    prompts: Path,
    model: Path,
    effects: Path,
    out: Path,
    plot: Path,
) -> None:
    """Estimate by attribution patching, on the statements that `effects` has patched."""
    config = params.section("patch", patch.Config)
    pair = patch.files(prompts, config)
    words = params.section("readout", readout.Config)
    patched = tables.read(effects, patch_tables.SCHEMA)
    found = cases.read(statements, known, *pair, cases.PARTS, None, by="part")
    found = found.only(patched["statement_id"])
    setting = experiment.load(config, words, found, model)
    attribution = setting.patcher().attribution("estimates")
    if not forward.is_main_process():
        return
    true = estimates.true_effects(patched, found, *setting.shape)
    estimated = estimates.toward_truth(attribution, found.label)
    score = estimates.score(estimated, true, found.subject)
    tables.write_json(out, {"source": config.source, "base": config.base, **score})
    tables.write_rows(plot, estimates.points(estimated, true, found.subject))


if __name__ == "__main__":
    cli.run(main)
