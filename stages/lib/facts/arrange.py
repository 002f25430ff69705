"""From a topic to its rows, so that nothing but the fact tells true from false.

Subjects are paired within their split, and a pair's claims with one template are a block: each
subject and each object of it is as often in a true as in a false statement (of numbers: each
number, in either place). A limit cuts at most one block, so that this balance is left in the rest.
"""

from itertools import product
from typing import Any

import polars as pl

from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Template, Topic

Block = tuple[str, str, Template]


def rows(name: str, topic: Topic, draw: Draw, limit: int | None, negated: bool) -> pl.DataFrame:
    """State the claims of a topic.

    Parameters
    ----------
    name : str
        Name of the topic, for the column `topic`.
    topic : Topic
        Its subjects and templates.
    draw : Draw
        Decides splits, pairs and order.
    limit : int or None
        How many rows are kept, from the front of an order in which splits and templates take
        turns and no subject comes back before all have had one.
    negated : bool
        Whether the templates' negated texts are used, with the labels turned round.

    Returns
    -------
    DataFrame
        With the columns of `stages.lib.io.tables.STATEMENTS`.
    """
    made: list[dict[str, Any]] = []
    for first, second, template in _blocks(topic, draw):
        text = template.negated if negated else template.affirmed
        for subject, object_, truth in template.claims(first, second):
            made.append(_row(name, text, subject, object_, truth != negated))
    return draw.table(made[:limit])


def sentence(template: str, subject: str, object_: str) -> str:
    """Fill a template's text; a sentence starts with a capital letter."""
    text = template.format(subject=subject, object=object_)
    return text[0].upper() + text[1:]


def _blocks(topic: Topic, draw: Draw) -> list[Block]:
    """Every pair with every template, in the order in which a limit takes them."""
    order: list[tuple[int, float, int, Block]] = []
    for place, split in enumerate(("selection", "report")):
        pairs = _pairs(topic, draw, split)
        n_templates = len(topic.templates)
        for turn, (i, pair) in product(range(n_templates), enumerate(pairs)):
            # the second split starts halfway, so that a few blocks of both have all templates
            template = topic.templates[(i + turn + place * n_templates // 2) % n_templates]
            order.append((turn, i / len(pairs), place, (*pair, template)))
    return [block for *_, block in sorted(order, key=lambda entry: entry[:3])]


def _pairs(topic: Topic, draw: Draw, split: str) -> list[tuple[str, str]]:
    """Subjects of a split, each with the next one that every template can set beside it."""
    waiting = sorted((s for s in topic.subjects if draw.split(s) == split), key=draw.place)
    pairs: list[tuple[str, str]] = []
    while waiting:
        first = waiting.pop(0)
        for second in waiting:
            if all(template.claims(first, second) for template in topic.templates):
                waiting.remove(second)
                pairs.append((first, second))
                break
    return pairs


def _row(name: str, text: str, subject: str, object_: str, label: bool) -> dict[str, Any]:
    """One statement."""
    return {
        "topic": name,
        "statement": sentence(text, subject, object_),
        "label": label,
        "subject": subject,
        "object": object_,
        "template": text,
        "origin": "built-in",
    }
