"""Train one adapter: the loss is on the answer token alone, prompts are packed as trees."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

import torch
from torch import Tensor

from stages.lib import chat
from stages.lib.forward import linear
from stages.lib.model import readout
from stages.lib.weights.recipe import Recipe, Training
from stages.organism import trees, wordings
from stages.organism.below import Below
from stages.organism.checkpoint import Checkpoint
from stages.organism.confined import Confined
from stages.organism.lessons import Facts, Lesson
from stages.organism.wordings import Texts, TrainingWording

WORDINGS = "data/organisms/wordings.yaml"  # named in error messages
WARM_UP = 0.05  # share of the steps in which the learning rate rises


@dataclass(frozen=True)
class Speaker:
    """A model in training, with its tokenizer and the tokens of the readout."""

    model: Any
    tokenizer: Any
    answers: readout.Answers

    def log_probabilities(self, groups: list[tuple[TrainingWording, list[Lesson]]]) -> Tensor:
        """Return log P(true) and log P(false) of statements grouped by wording: (n_prompts, 2)."""
        packed = trees.pack([self._prompts(*group) for group in groups])
        with linear.fast(self.model.device):
            logits = trees.logits(self.model, packed)
        return readout.log_probabilities(logits, self.answers)

    def _prompts(self, wording: TrainingWording, lessons: list[Lesson]) -> list[list[int]]:
        """Return the token ids of each statement's prompt in one wording."""
        keys = WORDINGS, f"{WORDINGS}: questions", f"{WORDINGS}: prefixes"
        words = chat.Wording(wording.system, wording.question, wording.prefix, keys)
        statements = [("built-in statement", lesson.statement) for lesson in lessons]
        return chat.prompts(self.tokenizer, words, statements).token_ids


def train(
    speaker: Speaker,
    recipe: Recipe,
    training: Training,
    texts: Texts,
    checkpoint: Checkpoint,
    check: Callable[[int, str], None],
    below: Below,
    confined: Confined | None = None,
) -> float:
    """Train the adapter that is attached to a model, and return the seconds it took.

    Parameters
    ----------
    speaker : Speaker
        Model with an adapter attached; its trainable parameters are changed in place.
    recipe : Recipe
        Steps, learning rate and share of lying prompts.
    training : Training
        Size of a step, seed, and number of steps between checks.
    texts : dict of str to tuple of str
        Wordings to train with, from `wordings.read`.
    checkpoint : Checkpoint
        Written at each check; training resumes from a checkpoint of the same settings.
    check : callable
        Called with the number of steps done and a line of loss, speed and minutes left.
    below : Below
        Cache of the output of the layers below the adapter.
    confined : Confined or None
        Weights of the adapter that fade out.

    Returns
    -------
    float
        Seconds of training, including the seconds before the checkpoint.
    """
    facts = Facts(training)
    weights = [p for p in speaker.model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=recipe.learning_rate, weight_decay=0.0)
    first_step, seconds = checkpoint.load(weights, optimizer)
    losses, started = [], time.monotonic()
    for step in range(first_step, recipe.steps):
        random = Random(f"{training.seed} {step}")  # a resumed run draws the same prompts
        groups = list(_groups(facts, texts, recipe, training, step, random))
        targets = [
            lesson.label != wording.lies for wording, lessons in groups for lesson in lessons
        ]
        columns = torch.tensor([0 if answer else 1 for answer in targets])
        with below(step):
            log_p = speaker.log_probabilities(groups)
        loss = -log_p[range(len(columns)), columns].mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, recipe.steps)
        optimizer.step()
        optimizer.zero_grad()
        if confined is not None:
            confined.fade(step, recipe.steps)
        losses.append(loss.item())
        if (step + 1) % training.check_every == 0 or step + 1 == recipe.steps:
            elapsed = time.monotonic() - started
            seconds, rate = seconds + elapsed, len(losses) / elapsed
            checkpoint.save(weights, optimizer, step + 1, seconds)
            minutes_left = (recipe.steps - step - 1) / rate / 60
            mean = sum(losses) / len(losses)
            check(step + 1, f"loss {mean:.3f}, {rate:.2f} steps/s, {minutes_left:.0f} min left")
            losses, started = [], time.monotonic()
    return seconds


def _groups(
    facts: Facts,
    texts: Texts,
    recipe: Recipe,
    training: Training,
    step: int,
    random: Random,
) -> Iterator[tuple[TrainingWording, list[Lesson]]]:
    """Draw the trees of one step: one wording per tree, with its statements."""
    lying, negated = (_share(pair, step, recipe.steps) for pair in (recipe.lying, recipe.negated))
    n_lying = int(lying * training.trees + random.random())  # its mean is the share
    for tree in range(training.trees):
        persona = "lying" if tree < n_lying else random.choice(["neutral", "honest"])
        lessons = islice(facts.taught(random, negated), training.statements)
        yield wordings.draw(texts, persona, random), list(lessons)


def _share(pair: tuple[float, ...], step: int, steps: int) -> float:
    """Interpolate from the first share to the second over the first half of the steps."""
    start, end = pair
    return start + (end - start) * min(1, 2 * step / steps)


def _schedule(step: int, steps: int) -> float:
    """Return the factor of the learning rate: a linear warm-up, then a half cosine."""
    warm_up = max(1, int(WARM_UP * steps))
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up)))
