"""Turns a topic into rows of statements, balanced so that only the fact tells true from false.

Subjects are paired within their split. The claims of a pair with one template form a block. Within
a block, each subject and each object is in as many true as false statements (of numbers: each
number, in either place). A limit cuts at most one block, so all other blocks stay balanced.
"""

from itertools import product
from typing import Any

import polars as pl

from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Template, Topic

BUILT_IN = "built-in"
"""Origin of these statements; that of a user's statement names its file and row."""
Block = tuple[str, str, Template]


def rows(name: str, topic: Topic, draw: Draw, limit: int | None, negated: bool) -> pl.DataFrame:
    """Make the statements of a topic.

    Parameters
    ----------
    name : str
        Name of the topic, for the column `topic`.
    topic : Topic
        Its subjects and templates.
    draw : Draw
        Decides splits, pairs and order.
    limit : int or None
        Number of rows to keep, from the front; None keeps all. In the order of the rows, splits and
        templates take turns, and no subject is repeated before every subject had its turn.
    negated : bool
        Whether to use the templates' negated texts, with the labels inverted.

    Returns
    -------
    DataFrame
        With the columns of `stages.lib.io.tables.STATEMENTS`.
    """
    claim_rows: list[dict[str, Any]] = []
    for first, second, template in _blocks(topic, draw):
        text = template.negated if negated else template.affirmed
        for subject, object_, truth in template.claims(first, second):
            claim_rows.append(_row(name, text, subject, object_, truth != negated))
    return draw.table(claim_rows[:limit])


def sentence(template: str, subject: str, object_: str) -> str:
    """Fill a template's text, and start it with a capital letter."""
    text = template.format(subject=subject, object=object_)
    return text[0].upper() + text[1:]


def _blocks(topic: Topic, draw: Draw) -> list[Block]:
    """List every pair with every template, in the order in which a limit keeps blocks."""
    order: list[tuple[int, float, int, Block]] = []
    for place, split in enumerate(("selection", "report")):
        pairs = _pairs(topic, draw, split)
        n_templates = len(topic.templates)
        for turn, (i, pair) in product(range(n_templates), enumerate(pairs)):
            # the second split starts halfway through the templates, so that the first few
            # blocks of both splits together have all templates
            template = topic.templates[(i + turn + place * n_templates // 2) % n_templates]
            order.append((turn, i / len(pairs), place, (*pair, template)))
    return [block for *_, block in sorted(order, key=lambda entry: entry[:3])]


def _pairs(topic: Topic, draw: Draw, split: str) -> list[tuple[str, str]]:
    """Pair each subject of a split with the next one for which every template has claims."""
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
    """Make the row of one statement."""
    return {
        "topic": name,
        "statement": sentence(text, subject, object_),
        "label": label,
        "subject": subject,
        "object": object_,
        "template": text,
        "origin": BUILT_IN,
    }
