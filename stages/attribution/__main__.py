"""Stage `attribution`: what each part of the model adds to the answer, and where the answers part.

Params  attribution, patch, readout
"""

import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from stages.attribution import table
from stages.attribution.config import AttributionConfig
from stages.attribution.table import ROLES
from stages.lib import forward, shards
from stages.lib.forward.parts import Parts, Splitter, Unfit
from stages.lib.io import alignment, cli, params, tables
from stages.lib.patching import cases, experiment
from stages.lib.patching.config import PatchConfig
from stages.lib.patching.experiment import Experiment


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    activations: cli.Activations,
    out: Annotated[Path, "writes the parts of both runs' logits (safetensors)"],
) -> None:
    """Split both personas' logits on known statements of the report part."""
    limit = params.section("attribution", AttributionConfig).limit
    config = params.section("patch", PatchConfig)
    found = cases.read(pairs, ("report",), limit, by="part")
    every = tables.read(pairs, tables.PAIRS)["statement_id"]
    readers = [shards.Reader(activations / persona) for persona in (config.source, config.base)]
    for reader in readers:
        alignment.require(reader.folder, reader.statement_ids, every)
    rows = np.flatnonzero(every.is_in(found.table["statement_id"].implode()))
    facts: dict[str, Any] = {"ids": [], "texts": [], "n_true": 0, "heads_error": 0.0}
    parts, reason = {}, "no known statement"
    if len(rows):
        setting = experiment.load(pairs, model, ("report",), limit)
        try:
            parts, reason = _split(setting, readers, rows), None
        except Unfit as unfit:
            reason = f"{type(setting.lm.model).__name__}: {unfit}"
        else:
            facts = _facts(setting, parts)
    if not forward.is_main_process():
        return
    if reason:
        warnings.warn(f"attribution: nothing is measured: {reason}", stacklevel=2)
    ids = found.table["statement_id"].to_list()
    table.write(out, parts, facts | {"statement_ids": ids, "reason": reason})


def _facts(setting: Experiment, parts: dict[str, Parts]) -> dict[str, Any]:
    """Which tokens the parts are of, and how well the heads add up to their attention."""
    ids = list(parts["source"].ids)
    return {
        "ids": ids,
        "texts": [setting.lm.tokenizer.decode(i) for i in ids],
        "n_true": len(setting.answers.true_ids),
        "heads_error": max(part.heads_error for part in parts.values()),
    }


def _split(setting: Experiment, readers: list[shards.Reader], rows: np.ndarray) -> dict[str, Parts]:
    """Parts of the source's and of the base's run."""
    prompts = [setting.cases.source[0], setting.cases.base[-1]]
    splitter = Splitter(setting.lm, setting.answers, prompts)
    both = (
        splitter(
            lambda layer, reader=reader: reader.layer("resid_post", layer)[rows],
            lambda layer, reader=reader: reader.layer("z", layer)[rows],
            f"{reader.folder.name}: attribution",
        )
        for reader in readers
    )
    return dict(zip(ROLES, both, strict=True))


if __name__ == "__main__":
    cli.run(main)
