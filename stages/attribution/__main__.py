"""Stage `attribution`: what each part of the model adds to the answer, and where the answers part.

Reads   --pairs, --model,
        --activations (a folder of shards for each persona)
Writes  --metrics (JSON), --plots (JSON: layers, heads, lens)
Params  attribution, patch, readout
"""

import warnings
from pathlib import Path

import numpy as np

from stages.attribution import attribution_tables
from stages.attribution.config import Config
from stages.lib import forward, shards
from stages.lib.forward.parts import Parts, Splitter, Unfit
from stages.lib.io import alignment, cli, params, tables
from stages.lib.patching import cases, experiment, patch
from stages.lib.patching.experiment import Experiment


def main(
    pairs: Path,
    model: Path,
    activations: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Split both personas' logits on known statements of the report part."""
    limit = params.section("attribution", Config).limit
    config = params.section("patch", patch.Config)
    found = cases.read(pairs, ("report",), limit, by="part")
    every = tables.read(pairs, tables.PAIRS)["statement_id"]
    readers = [shards.Reader(activations / persona) for persona in (config.source, config.base)]
    for reader in readers:
        alignment.require(reader.folder, reader.statement_ids, every)
    rows = np.flatnonzero(every.is_in(found.table["statement_id"].implode()))
    made, reason = attribution_tables.nothing(), "no known statement"
    if len(rows):
        setting = experiment.load(pairs, model, ("report",), limit)
        try:
            split, reason = _split(setting, readers, rows), None
            names = (config.source, config.base)
            decode, n_true = setting.lm.tokenizer.decode, len(setting.answers.true_ids)
            made = attribution_tables.make(
                *split, names, found.label, found.subject, n_true, decode
            )
        except Unfit as unfit:
            reason = f"{type(setting.lm.model).__name__}: {unfit}"
    if not forward.is_main_process():
        return
    if reason:
        warnings.warn(f"attribution: nothing is measured: {reason}", stacklevel=2)
    head = {"source": config.source, "base": config.base, "n": len(rows), "reason": reason}
    tables.write_json(metrics, head | made.metrics)
    for name, points in made.plots.items():
        tables.write_rows(plots / f"{name}.json", points)


def _split(
    setting: Experiment, readers: list[shards.Reader], rows: np.ndarray
) -> tuple[Parts, Parts]:
    """Parts of the source's and of the base's run."""
    prompts = [setting.cases.source[0], setting.cases.base[-1]]
    splitter = Splitter(setting.lm, setting.answers, prompts)
    source, base = (
        splitter(
            lambda layer, reader=reader: reader.layer("resid_post", layer)[rows],
            lambda layer, reader=reader: reader.layer("z", layer)[rows],
            f"{reader.folder.name}: attribution",
        )
        for reader in readers
    )
    return source, base


if __name__ == "__main__":
    cli.run(main)
