"""Statements to train and to check organisms with, drawn in blocks that are balanced."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, permutations
from random import Random

from stages.lib.facts import NEGATED, TOPICS, arrange
from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Template, Topic
from stages.lib.io.cli import UserError

TAUGHT, NEW_SUBJECT, NEW_TEMPLATE = "taught", "new subject", "new template"
KINDS = (TAUGHT, NEW_SUBJECT, NEW_TEMPLATE)
SPLITS = ("selection", "report")  # of `Draw`: what is taught, what is held out

Pair = frozenset[str]
"""A subject and its own object, in either order."""


@dataclass(frozen=True)
class Lesson:
    """A statement, where it comes from, and whether it is true."""

    topic: str
    statement: str
    subject: str
    label: bool
    kind: str


class Facts:
    """The built-in topics, some of whose subjects and templates are never taught.

    Parameters
    ----------
    held_out : float
        Fraction of subjects that are held out from training, drawn as `stages.lib.facts.draw` draws
        the split ``report``: with the same seed all are in that split, and nothing is selected on
        them. Each topic's last template is held out too.
    seed : int
        Decides which subjects.

    Raises
    ------
    UserError
        If the share leaves a topic no two subjects that can be set beside each other.
    """

    def __init__(self, held_out: float, seed: int):
        self.topics = {name: make() for name, make in TOPICS.items()}
        draw = Draw(seed, held_out)
        drawn = {
            name: [[s for s in topic.subjects if draw.split(s) == split] for split in SPLITS]
            for name, topic in self.topics.items()
        }
        taught: set[Pair] = set()
        for name, (subjects, _) in drawn.items():
            taught |= set(_pairs(self.topics[name], subjects).values())
        self._subjects: dict[tuple[str, bool], list[str]] = {}
        for name, (subjects, others) in drawn.items():
            pairs = _pairs(self.topics[name], others)
            # a city's country is also taught as a country's capital
            new = [s for s in others if pairs.get(s) not in taught]
            for kind, some in ((False, subjects), (True, new)):
                if not _pairs(self.topics[name], some):
                    raise UserError(
                        f"params.yaml: organisms.training.held_out: found {held_out}, but it "
                        f"leaves too few subjects of {name} to {'check' if kind else 'teach'} with"
                    )
                self._subjects[name, kind] = some

    def taught(self, random: Random, negated: float) -> Iterator[Lesson]:
        """Endless statements for training: half of them true, a fraction negated."""
        return chain.from_iterable(self.blocks(TAUGHT, random, negated))

    def blocks(self, kind: str, random: Random, negated: float = 0.5) -> Iterator[list[Lesson]]:
        """Statements of one kind as in `sample`, block by block and without end."""
        while True:
            yield self._block(random, kind, random.random() < negated)

    def sample(self, kind: str, n: int, random: Random) -> list[Lesson]:
        """Draw statements of one kind to check with.

        Parameters
        ----------
        kind : str
            ``taught``; ``new subject``: in a template that is taught, of a subject that is not,
            nor its pair in another topic; ``new template``: the other way round.
        n : int
            Whole blocks are drawn until there are at least so many statements, each once.
        random : Random
            Decides which.
        """
        lessons: dict[str, Lesson] = {}
        blocks = self.blocks(kind, random)
        while len(lessons) < n:
            lessons |= {lesson.statement: lesson for lesson in next(blocks)}
        return list(lessons.values())

    def _block(self, random: Random, kind: str, negated: bool) -> list[Lesson]:
        """Two subjects' claims with one template, plain or negated."""
        name = random.choice(list(self.topics))
        template = self._template(self.topics[name], kind, random)
        subjects = self._subjects[name, kind == NEW_SUBJECT]
        claims = []
        while not claims:  # not every two subjects can be set beside each other
            claims = template.claims(*random.sample(subjects, 2))
        topic, text = (NEGATED + name, template.negated) if negated else (name, template.affirmed)
        return [
            Lesson(
                topic,
                arrange.sentence(text, subject, object_),
                subject,
                truth != negated,
                kind,
            )
            for subject, object_, truth in claims
        ]

    def _template(self, topic: Topic, kind: str, random: Random) -> Template:
        """Draw one of the templates that are taught, or take the one that is not."""
        *taught, new = topic.templates
        return new if kind == NEW_TEMPLATE else random.choice(taught)


def _pairs(topic: Topic, subjects: list[str]) -> dict[str, Pair]:
    """Subjects with their own objects, of those that can be set beside each other."""
    claims, objects = topic.templates[0].claims, {}
    for first, second in permutations(subjects, 2):
        if first not in objects:
            objects |= {s: frozenset((s, o)) for s, o, truth in claims(first, second) if truth}
    return objects
