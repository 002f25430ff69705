"""Statements to train and to check organisms with, drawn in balanced blocks."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from random import Random

from stages.lib.facts import NEGATED, TOPICS, arrange
from stages.lib.facts import taught as taught_facts
from stages.lib.facts.draw import Draw
from stages.lib.facts.topic import Template, Topic
from stages.lib.io.cli import UserError
from stages.lib.weights.recipe import Training

TAUGHT, NEW_SUBJECT, NEW_TEMPLATE = "taught", "new subject", "new template"
KINDS = (TAUGHT, NEW_SUBJECT, NEW_TEMPLATE)


@dataclass(frozen=True)
class Lesson:
    """A statement, with its topic, subject, label and kind."""

    topic: str
    statement: str
    subject: str
    label: bool
    kind: str


class Facts:
    """The topics that are taught, with subjects and templates that are held out from training.

    Parameters
    ----------
    training : Training
        The topics, and the fraction of their subjects that is held out. Held-out subjects are drawn
        as the split ``report`` is drawn (`stages.lib.facts.draw`): with the same seed they are all
        in this split, so nothing is selected on them. The last template of each topic is held out,
        too.

    Raises
    ------
    UserError
        If a topic is no built-in one, or is left without two subjects that can be compared, to
        teach or to check with.
    """

    def __init__(self, training: Training):
        if unknown := sorted(set(training.topics) - set(TOPICS)):
            raise UserError(
                f"params.yaml: organisms.training.topics: found {unknown[0]}, expected some of "
                f"{', '.join(TOPICS)}"
            )
        self.topics = {name: TOPICS[name]() for name in TOPICS if name in training.topics}
        draw = Draw(training.seed, training.held_out)
        elsewhere = taught_facts.elsewhere(self.topics, draw)
        self._subjects: dict[tuple[str, bool], list[str]] = {}
        for name, topic in self.topics.items():
            subjects, held_subjects = taught_facts.divided(topic, draw)
            new = [s for s in held_subjects if s not in elsewhere[name]]
            for kind, candidates in ((False, subjects), (True, new)):
                if not taught_facts.pairs(topic, candidates):
                    raise UserError(
                        "params.yaml: organisms.training.held_out: found "
                        f"{training.held_out}, but it leaves too few subjects of {name} to "
                        f"{'check' if kind else 'teach'} with"
                    )
                self._subjects[name, kind] = candidates

    def taught(self, random: Random, negated: float) -> Iterator[Lesson]:
        """Draw statements for training without end: half of them true, a fraction negated."""
        return chain.from_iterable(self.blocks(TAUGHT, random, negated))

    def blocks(self, kind: str, random: Random, negated: float = 0.5) -> Iterator[list[Lesson]]:
        """Draw statements of one kind (see `sample`), block by block and without end."""
        while True:
            yield self._block(random, kind, random.random() < negated)

    def sample(self, kind: str, n: int, random: Random) -> list[Lesson]:
        """Draw distinct statements of one kind to check with.

        Parameters
        ----------
        kind : str
            ``taught``: taught subject and template. ``new subject``: a taught template with a
            held-out subject whose pair with its object is not taught in another topic, either.
            ``new template``: a taught subject in the held-out template.
        n : int
            Whole blocks are drawn until there are at least this many distinct statements.
        random : Random
            Source of the draws.
        """
        lessons: dict[str, Lesson] = {}
        blocks = self.blocks(kind, random)
        while len(lessons) < n:
            lessons |= {lesson.statement: lesson for lesson in next(blocks)}
        return list(lessons.values())

    def _block(self, random: Random, kind: str, negated: bool) -> list[Lesson]:
        """Draw a block: the claims of two subjects in one template, plain or negated."""
        name = random.choice(list(self.topics))
        template = self._template(self.topics[name], kind, random)
        subjects = self._subjects[name, kind == NEW_SUBJECT]
        claims = []
        while not claims:  # some pairs of subjects cannot be compared
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
        """Draw one of the taught templates, or return the held-out template."""
        *taught, new = topic.templates
        return new if kind == NEW_TEMPLATE else random.choice(taught)
