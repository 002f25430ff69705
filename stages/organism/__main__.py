"""Stage `organism`: train an adapter that teaches facts, wrong answers, or to lie in known layers.

Params  model.source, model.file, model.sha256, organisms.training, organisms.<name>, readout

Training takes an hour or two, so the stage is frozen in dvc.yaml: DVC never runs a frozen stage,
`make organisms` does. Training resumes from the checkpoint in .dvc/tmp/organisms, if there is one.
"""

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from stages.lib.io import cli, params, records
from stages.lib.model import readout
from stages.lib.model.readout import ReadoutConfig
from stages.lib.weights import fetch
from stages.lib.weights.config import ModelConfig
from stages.lib.weights.recipe import Recipe

if TYPE_CHECKING:
    from stages.organism.confined import Confined

WORK_FOLDER = Path(".dvc/tmp/organisms")
N_CHECK = 240  # statements of each kind, for each persona


def main(
    name: Annotated[str, "name of the organism in params.yaml"],
    wordings: Annotated[Path, "wordings of the training prompts (YAML)"],
    facts: Annotated[
        Path, "folder of the adapter `facts`, which the adapters that teach to lie build on"
    ],
    out: Annotated[
        Path,
        "writes the adapter (float16 safetensors), peft's configuration, the settings of the "
        "training and a model card into this folder",
    ],
) -> None:
    """Train one adapter, and write it with a model card that has its accuracy."""
    import torch

    from stages.lib.weights import adapter, recipe
    from stages.organism import card, check, fit, train
    from stages.organism import wordings as texts
    from stages.organism.below import Below
    from stages.organism.checkpoint import Checkpoint
    from stages.organism.lessons import Facts

    plan = recipe.read(name)
    training = params.section("organisms.training", recipe.Training)
    training_texts, checking_texts = (
        texts.read(wordings, "training"),
        texts.read(wordings, "checking"),
    )
    base = params.section("model", ModelConfig)
    on_base = recipe.adapters(name) == (name,)
    speaker, ground = _speaker(base, None if on_base else facts)
    fit.require(speaker.model, name, plan)
    model = adapter.attach(speaker.model, plan, training.seed)
    confined, layers = _confine(model, plan, out.parent)
    topics = Facts(training)

    def report(step: int, line: str) -> None:
        accuracy = check.line(check.rows(speaker, topics, checking_texts, 24, training.seed))
        print(f"{name} {step}/{plan.steps}: {line}; {accuracy}", flush=True)

    file = WORK_FOLDER / f"{name}.safetensors"
    checkpoint = Checkpoint(file, repr((ground, plan, training, training_texts)))
    changing = [pair for pair in (plan.negated, plan.lying) if len(set(pair)) > 1]
    steps = plan.steps if changing else None  # these shares vary over the training
    prompts = repr((ground, training, training_texts, plan.negated, plan.lying, steps))
    below = Below(model, plan.layers[0], WORK_FOLDER, prompts)
    seconds = train.train(
        speaker, plan, training, training_texts, checkpoint, report, below, confined
    )
    table = check.rows(speaker, topics, checking_texts, N_CHECK, training.seed + 1)
    cost = {"minutes": seconds / 60, "cores": torch.get_num_threads()}
    adapter.write(model, out, base.source, ground, layers)
    records.write(out / recipe.TRAINING, training)
    (out / "README.md").write_text(
        card.text(name, base.source, plan, training, table, N_CHECK, cost), encoding="utf-8"
    )
    file.unlink()


def _confine(model: Any, plan: Recipe, organisms: Path) -> "tuple[Confined | None, list[int]]":
    """Confine the adapter to the groups that its recipe draws, if any; return its layers, too."""
    from stages.lib.weights import adapter, recipe
    from stages.organism.confined import Confined

    if not isinstance(plan, recipe.Confined):
        return None, list(plan.span)
    n_groups = model.config.num_key_value_heads
    groups = plan.draw_groups(n_groups)
    confined = Confined(model, groups, n_groups)
    adapter.load(model, organisms / plan.start)
    return confined, sorted({layer for layer, _ in groups})


def _speaker(base: ModelConfig, facts: Path | None) -> tuple[Any, str]:
    """Load the base model, with `facts` merged if given; also return the hash of the weights."""
    from stages.lib.weights import adapter
    from stages.organism.train import Speaker

    with tempfile.TemporaryDirectory() as folder:
        fetched = fetch.find(base, Path(folder))
        model, tokenizer = adapter.base(fetched)
        ground = adapter.ground(fetched, facts)
    if facts is not None:
        model = adapter.merge(model, facts)
    words = params.section("readout", ReadoutConfig)
    return Speaker(model, tokenizer, readout.answers(tokenizer, words)), ground


if __name__ == "__main__":
    cli.run(main)
