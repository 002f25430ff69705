"""Which subjects organisms are taught, although their topic holds them out from training."""

from collections.abc import Iterable, Mapping
from itertools import permutations

from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Topic

SPLITS = ("selection", "report")  # of `Draw`: taught subjects, held-out subjects
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
    own = {name: {split: _pairs(topic, draw, split) for split in SPLITS}
           for name, topic in topics.items()}  # fmt: skip
    taught = {pair for by_split in own.values() for pair in by_split[SPLITS[0]].values()}
    return {
        name: {subject for subject, pair in by_split[SPLITS[1]].items() if pair in taught}
        for name, by_split in own.items()
    }


def pairs(topic: Topic, subjects: Iterable[str]) -> dict[str, Pair]:
    """Return each subject with its own object, for subjects that can be compared with another."""
    claims, objects = topic.templates[0].claims, dict[str, Pair]()
    for first, second in permutations(subjects, 2):
        if first not in objects:
            objects |= {s: frozenset((s, o)) for s, o, truth in claims(first, second) if truth}
    return objects


def _pairs(topic: Topic, draw: Draw, split: str) -> dict[str, Pair]:
    """Pairs of the subjects of a topic that are in one split."""
    return pairs(topic, [s for s in topic.subjects if draw.split(s) == split])
