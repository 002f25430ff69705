"""Statements to train and to check organisms with, drawn in blocks that are balanced."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from random import Random

from stages.lib.facts import NEGATED, SPLITS, arrange
from stages.lib.facts.draw import Draw
from stages.lib.facts.split import Split, Template

TAUGHT, NEW_SUBJECT, NEW_TEMPLATE = "taught", "new subject", "new template"
KINDS = (TAUGHT, NEW_SUBJECT, NEW_TEMPLATE)


@dataclass(frozen=True)
class Lesson:
    """A statement, where it comes from, and whether it is true."""

    split: str
    statement: str
    subject: str
    label: bool
    kind: str


class Facts:
    """The built-in splits, some of whose subjects and templates are never taught.

    Parameters
    ----------
    held_out : float
        Share of subjects, and so of (subject, object) pairs, that are kept from training. Each
        split's last template is kept from training too.
    seed : int
        Decides which subjects.
    """

    def __init__(self, held_out: float, seed: int):
        self.splits = {name: make() for name, make in SPLITS.items()}
        draw = Draw(seed, held_out)
        self._subjects = {
            (name, new): [s for s in split.subjects if (draw.part(s) == "report") == new]
            for name, split in self.splits.items()
            for new in (False, True)
        }

    def taught(self, random: Random, negated: float) -> Iterator[Lesson]:
        """Statements for training, without end: as many true as false, some share negated."""
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
            ``taught``; ``new subject``: of a subject that is not taught, in a template that is;
            ``new template``: the other way round.
        n : int
            Whole blocks are drawn until there are at least so many statements, each once.
        random : Random
            Decides which.
        """
        found: dict[str, Lesson] = {}
        blocks = self.blocks(kind, random)
        while len(found) < n:
            found |= {lesson.statement: lesson for lesson in next(blocks)}
        return list(found.values())

    def _block(self, random: Random, kind: str, negated: bool) -> list[Lesson]:
        """Two subjects' claims with one template, plain or negated."""
        name = random.choice(list(self.splits))
        template = self._template(self.splits[name], kind, random)
        subjects = self._subjects[name, kind == NEW_SUBJECT]
        claims = []
        while not claims:  # not every two subjects can be set beside each other
            claims = template.claims(*random.sample(subjects, 2))
        split, text = (NEGATED + name, template.negated) if negated else (name, template.affirmed)
        return [
            Lesson(
                split,
                arrange.sentence(text, subject, object_),
                subject,
                truth != negated,
                kind,
            )
            for subject, object_, truth in claims
        ]

    def _template(self, split: Split, kind: str, random: Random) -> Template:
        """Draw one of the templates that are taught, or take the one that is not."""
        *taught, new = split.templates
        return new if kind == NEW_TEMPLATE else random.choice(taught)
