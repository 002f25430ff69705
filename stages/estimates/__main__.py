"""Stage `estimates`: what each head's patch does, estimated for all heads at once, and how well.

Reads   --pairs, --model; --effects,
        the runs with each head truly patched, to compare with
Writes  --out, rank correlation of estimated and true effects; --plot, one point a head
Params  patch, readout
"""

from dataclasses import replace
from pathlib import Path

from stages.estimates import estimates
from stages.lib import forward
from stages.lib.io import cli, tables
from stages.lib.patching import cases, experiment, patched_runs


def main(
    pairs: Path,
    model: Path,
    effects: Path,
    out: Path,
    plot: Path,
) -> None:
    """Estimate by attribution patching, on the statements that `effects` has patched."""
    patched = tables.read(effects, patched_runs.SCHEMA)
    setting = experiment.load(pairs, model, cases.PARTS, None)
    found, config = setting.cases.only(patched["statement_id"]), setting.config
    setting = replace(setting, cases=found)
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
