"""Which subjects organisms are taught, although their topic holds them out from training."""

from collections.abc import Iterable, Mapping
from itertools import permutations

from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Topic

Pair = frozenset[str]
"""A subject and its own object, in either order."""


def elsewhere(topics: Mapping[str, Topic], draw: Draw) -> dict[str, set[str]]:
    """Find the held-out subjects whose pair with their object is taught in another topic.

    A city and its country may be taught as a capital and its country.

    Parameters
    ----------
    topics : mapping of str to Topic
        The topics that are taught, by name.
    draw : Draw
        Draws which subjects of a topic are taught, and which are held out.

    Returns
    -------
    dict of str to set of str
        By topic.
    """
    own = {
        name: [pairs(topic, subjects) for subjects in divided(topic, draw)]
        for name, topic in topics.items()
    }
    taught = {pair for of_taught, _ in own.values() for pair in of_taught.values()}
    return {
        name: {subject for subject, pair in of_held_out.items() if pair in taught}
        for name, (_, of_held_out) in own.items()
    }


def divided(topic: Topic, draw: Draw) -> tuple[list[str], list[str]]:
    """Return the subjects of a topic that are taught, and those that are held out from training."""
    taught, held_out = (
        [subject for subject in topic.subjects if draw.split(subject) == split]
        for split in ("selection", "report")
    )
    return taught, held_out


def pairs(topic: Topic, subjects: Iterable[str]) -> dict[str, Pair]:
    """Return each subject with its own object, for subjects that can be compared with another."""
    claims, objects = topic.templates[0].claims, dict[str, Pair]()
    for first, second in permutations(subjects, 2):
        if first not in objects:
            objects |= {s: frozenset((s, o)) for s, o, truth in claims(first, second) if truth}
    return objects
