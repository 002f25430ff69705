"""Stage `logit_attribution`: direct logit attribution and logit lens.

Params  logit_attribution, patch, readout
"""

import warnings
from pathlib import Path
from typing import Annotated

from stages.lib import forward, shards
from stages.lib.forward.parts import Parts, Splitter, Unfit
from stages.lib.io import cli, params, row_order
from stages.lib.patching import experiment
from stages.lib.patching.experiment import Experiment
from stages.logit_attribution import schema
from stages.logit_attribution.config import LogitAttributionConfig
from stages.logit_attribution.schema import ROLES, Facts


def main(
    pairs: cli.Pairs,
    model: cli.Model,
    activations: cli.Activations,
    out: Annotated[Path, "writes the parts of both runs' logits (safetensors)"],
) -> None:
    """Split both personas' logits on known statements of the report split."""
    limit = params.section("logit_attribution", LogitAttributionConfig).limit
    setting = experiment.load(pairs, model, ("report",), limit)
    ids = setting.pairs.table["statement_id"].to_list()
    parts, reason = {}, "no known statement"
    if ids:
        try:
            parts, reason = _split_logits(setting, activations, ids), None
        except Unfit as unfit:
            reason = f"{type(setting.lm.model).__name__}: {unfit}"
    if not forward.is_main_process():
        return
    if reason:
        warnings.warn(f"logit_attribution: nothing is measured: {reason}", stacklevel=2)
    schema.write(out, parts, _facts(setting, parts, ids, reason))


def _facts(
    setting: Experiment, parts: dict[str, Parts], statement_ids: list[str], reason: str | None
) -> Facts:
    """Answer tokens of the parts, and the error of the heads' sum against their attention."""
    ids = list(parts["source"].ids) if parts else []
    return Facts(
        statement_ids=statement_ids,
        ids=ids,
        texts=[setting.lm.tokenizer.decode(i) for i in ids],
        n_true=len(setting.answers.true_ids) if parts else 0,
        heads_error=max((part.heads_error for part in parts.values()), default=0.0),
        reason=reason,
    )


def _split_logits(setting: Experiment, activations: Path, ids: list[str]) -> dict[str, Parts]:
    """Parts of the logits of the source and of the base run."""
    splitter = Splitter(
        setting.lm, setting.answers, [setting.pairs.source[0], setting.pairs.base[-1]]
    )
    parts_by_role = {}
    for role in ROLES:
        reader = shards.Reader(activations / getattr(setting.config, role))
        rows = row_order.rows(reader.folder, reader.statement_ids, ids)
        parts_by_role[role] = splitter(
            lambda layer, reader=reader, rows=rows: reader.layer("resid_post", layer)[rows],
            lambda layer, reader=reader, rows=rows: reader.layer("z", layer)[rows],
            f"{reader.folder.name}: logit attribution",
        )
    return parts_by_role


if __name__ == "__main__":
    cli.run(main)
