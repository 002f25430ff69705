"""Train one adapter: the loss is on the answer alone, statements are packed as trees."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor

from stages.lib import chat, readout
from stages.lib.organism import trees, wordings
from stages.lib.organism.lessons import Facts, Lesson
from stages.lib.organism.recipe import Recipe, Training
from stages.lib.organism.wordings import Wording
from stages.lib.whole import whole

WARM_UP = 0.05  # share of the steps in which the learning rate rises


@dataclass(frozen=True)
class Speaker:
    """A model being trained, and what turns statements into its answers."""

    model: Any
    tokenizer: Any
    answers: readout.Answers

    def probabilities(self, groups: list[tuple[Wording, list[Lesson]]]) -> Tensor:
        """P(true) and P(false), (n_prompts, 2), of statements grouped by wording."""
        packed = trees.pack([self._prompts(*group) for group in groups])
        return readout.probabilities(trees.logits(self.model, packed), self.answers)

    def _prompts(self, wording: Wording, lessons: list[Lesson]) -> list[list[int]]:
        """Token ids of each statement in one wording."""
        words = (wording.system, wording.question, wording.prefix)
        texts = [chat.render(self.tokenizer, *words, lesson.statement) for lesson in lessons]
        return [chat.encode(self.tokenizer, text) for text in texts]


def train(
    speaker: Speaker,
    recipe: Recipe,
    training: Training,
    checkpoint: Path,
    check: Callable[[int, str], None],
) -> float:
    """Train the adapter that is attached to a model.

    Parameters
    ----------
    speaker : Speaker
        Its model's trainable parameters are changed in place.
    recipe : Recipe
        Steps, learning rate and share of lying prompts.
    training : Training
        Size of a step, seed, and how often to check.
    checkpoint : Path
        Written at each check; where there is one of the same recipe, training goes on from it.
    check : callable
        Called with the number of steps that are done and a line that says how training goes.

    Returns
    -------
    float
        Seconds that training took, those before the checkpoint included.
    """
    facts = Facts(training.held_out, training.seed)
    texts = wordings.read("training")
    weights = [p for p in speaker.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0)
    settings = repr((recipe, training))
    done, seconds = _resume(checkpoint, settings, weights, optimizer)
    losses, started = [], time.monotonic()
    for step in range(done, recipe.steps):
        random = Random(f"{training.seed} {step}")  # so that a resumed run draws the same
        groups = list(_groups(facts, texts, recipe, training, step, random))
        right = [lesson.label != wording.lies for wording, lessons in groups for lesson in lessons]
        columns = torch.tensor([0 if answer else 1 for answer in right])
        p = speaker.probabilities(groups)[range(len(columns)), columns]
        loss = -p.clamp_min(1e-9).log().mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, recipe.steps)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if (step + 1) % training.check_every == 0 or step + 1 == recipe.steps:
            passed = time.monotonic() - started
            seconds, rate = seconds + passed, len(losses) / passed
            state = {"settings": settings, "step": step + 1, "seconds": seconds}
            state |= {"weights": weights, "optimizer": optimizer.state_dict()}
            with whole(checkpoint) as partial:
                torch.save(state, partial)
            left = (recipe.steps - step - 1) / rate / 60
            mean = sum(losses) / len(losses)
            check(step + 1, f"loss {mean:.3f}, {rate:.2f} steps/s, {left:.0f} min left")
            losses, started = [], time.monotonic()
    return seconds


def _groups(
    facts: Facts,
    texts: dict[str, tuple[str, ...]],
    recipe: Recipe,
    training: Training,
    step: int,
    random: Random,
) -> Iterator[tuple[Wording, list[Lesson]]]:
    """The trees of one step: a wording each, with its statements."""
    lying, negated = (_share(pair, step, recipe.steps) for pair in (recipe.lying, recipe.negated))
    n_lying = int(lying * training.trees + random.random())  # the share, on average
    for tree in range(training.trees):
        persona = "lying" if tree < n_lying else random.choice(["neutral", "honest"])
        lessons = islice(facts.taught(random, negated), training.statements)
        yield wordings.draw(texts, persona, random), list(lessons)


def _share(pair: tuple[float, ...], step: int, steps: int) -> float:
    """A share that goes from one number to the other in the first half of the steps."""
    start, end = pair
    return start + (end - start) * min(1, 2 * step / steps)


def _schedule(step: int, steps: int) -> float:
    """Share of the learning rate: a straight rise, then a half cosine."""
    warm_up = max(1, int(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))


def _resume(
    file: Path, settings: str, weights: list[Tensor], optimizer: torch.optim.Optimizer
) -> tuple[int, float]:
    """Load a checkpoint, if there is one; return the steps that are done and their seconds."""
    if not file.is_file():
        return 0, 0.0
    state: dict[str, Any] = torch.load(file, weights_only=True)
    if state["settings"] != settings:
        return 0, 0.0
    with torch.no_grad():
        for weight, saved in zip(weights, state["weights"], strict=True):
            weight.copy_(saved)
    optimizer.load_state_dict(state["optimizer"])
    return state["step"], state["seconds"]
