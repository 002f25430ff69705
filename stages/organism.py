"""Stage `organism`: train an adapter that teaches facts, or to lie about them in known layers.

Reads   the base model that params.yaml names; for a lie, the adapter `truth`; the wordings
Writes  --out: the adapter (float16 safetensors), peft's configuration, README.md, a model card
Params  model.source, model.file, model.sha256, organisms.training, organisms.<name>, readout

Frozen in dvc.yaml, as it takes an hour or two, and DVC never runs a frozen stage: `make organisms`
does. It goes on from the checkpoint in .dvc/tmp/organisms, where there is one.
"""

import tempfile
from pathlib import Path
from typing import Any

from stages.lib import cli, fetch, params, readout

N_CHECK = 240  # statements of each kind, for each persona


def main(name: str, out: Path) -> None:
    """Train one adapter, writing it at each check."""
    import torch

    from stages.lib.organism import adapter, card, check, recipe, train
    from stages.lib.organism.lessons import Facts

    plan = recipe.read(name)
    training = params.section("organisms.training", recipe.Training)
    base = params.section("model", fetch.Config)
    speaker = _speaker(base, with_truth=name != recipe.TRUTH)
    model = adapter.attach(speaker.model, plan, training.seed)
    facts = Facts(training.held_out, training.seed)

    def report(step: int, line: str) -> None:
        adapter.write(model, out, base.source)
        found = check.line(check.rows(speaker, facts, 24, training.seed))
        print(f"{name} {step}/{plan.steps}: {line}; {found}", flush=True)

    checkpoint = Path(".dvc/tmp/organisms") / f"{name}.pt"
    seconds = train.train(speaker, plan, training, checkpoint, report)
    adapter.write(model, out, base.source)
    table = check.rows(speaker, facts, N_CHECK, training.seed + 1)
    spent = {"minutes": seconds / 60, "cores": torch.get_num_threads()}
    (out / "README.md").write_text(
        card.text(name, base.source, plan, training, table, N_CHECK, spent), encoding="utf-8"
    )
    checkpoint.unlink()


def _speaker(base: fetch.Config, with_truth: bool) -> Any:
    """Load the base model, with the facts it was taught."""
    from stages.lib.organism import adapter, recipe
    from stages.lib.organism.train import Speaker

    with tempfile.TemporaryDirectory() as folder:
        model, tokenizer = adapter.base(fetch.find(base, Path(folder)))
    if with_truth:
        model = adapter.merge(model, recipe.FOLDER / recipe.TRUTH)
    words = params.section("readout", readout.Config)
    return Speaker(model, tokenizer, readout.answers(tokenizer, words))


if __name__ == "__main__":
    cli.run(main)
