"""Which subjects organisms are taught, although their topic holds them out from training."""

from collections.abc import Iterable, Mapping, Set
from itertools import permutations

from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Topic

Pair = frozenset[str]
"""A subject and its own object, in either order."""


def taught_pairs(topics: Mapping[str, Topic], draw: Draw) -> set[Pair]:
    """Return the pairs that are taught in some topic; parameters as in `elsewhere`."""
    return {
        pair for topic in topics.values() for pair in pairs(topic, divided(topic, draw)[0]).values()
    }


def elsewhere(
    topics: Mapping[str, Topic], draw: Draw, taught: Set[Pair] | None = None
) -> dict[str, set[str]]:
    """Find the held-out subjects whose pair with their object is taught in another topic.

    A city and its country may be taught as a capital and its country.

    Parameters
    ----------
    topics : mapping of str to Topic
        The topics that are taught, by name.
    draw : Draw
        Draws which subjects of a topic are taught, and which are held out.
    taught : set of Pair or None
        Pairs that count as taught; None: `taught_pairs` of these topics.

    Returns
    -------
    dict of str to set of str
        By topic.
    """
    known_pairs = taught_pairs(topics, draw) if taught is None else taught
    return {
        name: {s for s, p in pairs(topic, divided(topic, draw)[1]).items() if p in known_pairs}
        for name, topic in topics.items()
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
