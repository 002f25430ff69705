"""Stage `attribution`: what each part of the model adds to the answer, and where the answers part.

Reads   --statements, --known, --source and --base (prompts of both personas), --model,
        --activations (a folder of shards for each persona)
Writes  --metrics (JSON), --plots (JSON: layers, heads, lens)
Params  attribution, patch, readout
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.lib import (
    alignment,
    attribution,
    attribution_tables,
    cases,
    cli,
    experiment,
    forward,
    lens,
    params,
    patch,
    readout,
    shards,
    tables,
)
from stages.lib.experiment import Experiment
from stages.lib.forward.parts import Parts, Splitter, Unfit

Metrics = dict[str, object]
PLOTS = ("layers", "heads", "lens")


@dataclass(frozen=True)
class Config:
    """Section `attribution` of params.yaml."""

    limit: int | None

    def __post_init__(self) -> None:
        """Refuse a limit that keeps nothing."""
        params.at_least("attribution.limit", self.limit, 1)


def main(
    statements: Path,
    known: Path,
    source: Path,
    base: Path,
    model: Path,
    activations: Path,
    metrics: Path,
    plots: Path,
) -> None:
    """Split both personas' logits on known statements of the report part."""
    config = params.section("patch", patch.Config)
    limit = params.section("attribution", Config).limit
    words = params.section("readout", readout.Config)
    found = cases.read(statements, known, source, base, ("report",), limit, by="part")
    every = tables.read(statements, tables.STATEMENTS)["statement_id"]
    readers = [shards.Reader(activations / persona) for persona in (config.source, config.base)]
    for reader in readers:
        alignment.require(reader.folder, reader.statement_ids, every)
    rows = np.flatnonzero(every.is_in(found.table["statement_id"].implode()))
    summary, points = attribution_tables.nothing(), {name: [] for name in PLOTS}
    reason: str | None = "no known statement"
    if len(rows):
        setting = experiment.load(config, words, found, model)
        try:
            summary, points = _tables(setting, _split(setting, readers, rows))
            reason = None
        except Unfit as unfit:
            reason = f"{type(setting.lm.model).__name__}: {unfit}"
    if not forward.is_main_process():
        return
    if reason:
        warnings.warn(f"attribution: nothing is measured: {reason}", stacklevel=2)
    head = {"source": config.source, "base": config.base, "n": len(rows), "reason": reason}
    tables.write_json(metrics, head | summary)
    for name in PLOTS:
        tables.write_rows(plots / f"{name}.json", points[name])


def _split(setting: Experiment, readers: list[shards.Reader], rows: np.ndarray) -> list[Parts]:
    """Parts of the source's and of the base's run."""
    prompts = [setting.cases.source[0], setting.cases.base[-1]]
    splitter = Splitter(setting.lm, setting.answers, prompts)
    return [
        splitter(
            lambda layer, reader=reader: reader.layer("resid_post", layer)[rows],
            lambda layer, reader=reader: reader.layer("z", layer)[rows],
            f"{reader.folder.name}: attribution",
        )
        for reader in readers
    ]


def _tables(
    setting: Experiment, parts: list[Parts]
) -> tuple[Metrics, dict[str, attribution_tables.Rows]]:
    """Metrics, and the rows of each plot."""
    config, label, subject = setting.config, setting.cases.label, setting.cases.subject
    names = {"source": config.source, "base": config.base}
    names["difference"] = " - ".join(names.values())
    tokens = attribution.pair([p.log_p for p in parts], len(setting.answers.true_ids))
    both = [attribution.contributions(p, tokens, label) for p in parts]
    lenses = [p.lens for p in parts]
    truths = attribution_tables.paired(*(lens.truth(lens.log_odds(x, label)) for x in lenses))
    words = attribution_tables.named(tokens, parts[0].ids, setting.lm.tokenizer.decode)
    error = max(p.heads_error for p in parts)
    points = {
        "layers": attribution_tables.layers(*both, subject, names),
        "heads": attribution_tables.heads(*both, subject, names),
        "lens": attribution_tables.lenses(*lenses, label, subject, names),
    }
    return attribution_tables.summarise(*both, truths, subject, words, error), points


if __name__ == "__main__":
    cli.run(main)
